"""Tracing into memory, for tests that look at the spans."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from config import tracing
from config.otlp import OtlpTracing


@dataclass(frozen=True)
class RecordedSpans:
    """What this process traced. Only what a client asks for is, until `trace_everything`."""

    provider: TracerProvider
    exporter: InMemorySpanExporter

    def finished(self) -> list[ReadableSpan]:
        """The spans that have ended, in that order."""
        return list(self.exporter.get_finished_spans())

    def trace_everything(self) -> None:
        tracing.install(OtlpTracing(self.provider, ratio=1.0))


@contextmanager
def recorded_spans() -> Iterator[RecordedSpans]:
    """Trace this process for the length of the block."""
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.install(OtlpTracing(provider, ratio=0.0))
    try:
        yield RecordedSpans(provider, exporter)
    finally:
        tracing.install(tracing.Untraced())
        provider.shutdown()
