"""Tracing by OpenTelemetry, spans sent to a collector in the background. The only module that imports it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from config.settings import Settings

EXPORT_EVERY_MS: Final = 1000


class OtlpTracing:
    """See `config.tracing.Tracing`. `ratio`: the share of requests that is traced unasked."""

    def __init__(self, provider: TracerProvider, *, ratio: float, rng: random.Random | None = None) -> None:
        self.provider = provider
        self._tracer = provider.get_tracer("tollgate")
        self._ratio = ratio
        self._rng = rng or random.Random()  # noqa: S311  a sample, not a secret

    @contextmanager
    def request(self, name: str, incoming: str | None) -> Iterator[str]:
        """See `Tracing.request`. The decision to trace is made here once; every span below follows it."""
        parent = read_traceparent(incoming or "")
        if not (parent and parent.trace_flags.sampled) and self._rng.random() >= self._ratio:
            yield ""
            return
        with self._tracer.start_as_current_span(name, context=_below(parent), kind=SpanKind.SERVER) as span:
            yield write_traceparent(span.get_span_context())

    def rename(self, name: str) -> None:
        """See `Tracing.rename`."""
        trace.get_current_span().update_name(name)

    @contextmanager
    def linked(self, name: str, *, parent: str, links: Sequence[str]) -> Iterator[str]:
        """See `Tracing.linked`."""
        above = read_traceparent(parent)
        others = [Link(context) for context in map(read_traceparent, links) if context]
        if not (above or others):
            yield ""
            return
        with self._tracer.start_as_current_span(name, context=_below(above), links=others) as span:
            yield write_traceparent(span.get_span_context())

    @contextmanager
    def stage(self, name: str) -> Iterator[str]:
        """See `Tracing.stage`."""
        if not trace.get_current_span().is_recording():
            yield ""
            return
        with self._tracer.start_as_current_span(name) as span:
            yield write_traceparent(span.get_span_context())

    def current(self) -> str:
        """See `Tracing.current`."""
        span = trace.get_current_span()
        return write_traceparent(span.get_span_context()) if span.is_recording() else ""


def otlp_tracing(settings: Settings, *, process: str, exporter: SpanExporter | None = None) -> OtlpTracing:
    """Tracing of this process. A collector that is down loses spans, never payments: they are sent by a thread."""
    provider = TracerProvider(resource=Resource.create({"service.name": f"tollgate-{process}"}))
    exporter = exporter or OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint.rstrip('/')}/v1/traces", timeout=5)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=EXPORT_EVERY_MS))
    return OtlpTracing(provider, ratio=settings.otlp_sample_ratio)


def write_traceparent(context: SpanContext) -> str:
    """A span as others name it (W3C Trace Context, section 3.2)."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def read_traceparent(text: str) -> SpanContext | None:
    """The span that a traceparent names; None for anything else."""
    parts = text.split("-")
    try:
        _, trace_id, span_id, flags = parts
        context = SpanContext(
            int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
        )
    except ValueError:
        return None
    return context if context.is_valid else None


def _below(parent: SpanContext | None) -> Context:
    """A context with this parent, sampled whatever its own flag says; a new trace without one."""
    if parent is None:
        return Context()
    flags = TraceFlags(parent.trace_flags | TraceFlags.SAMPLED)
    sampled = SpanContext(parent.trace_id, parent.span_id, is_remote=True, trace_flags=flags)
    return trace.set_span_in_context(NonRecordingSpan(sampled), Context())
