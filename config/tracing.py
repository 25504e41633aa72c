"""Spans from the HTTP request over the batch to the ledger, sent by OTLP; off by default, and then nothing is imported.

A request is traced when its client asks for it (a sampled `traceparent`, W3C Trace Context) or chance picks it. The
batch that carries it is a span with links to the requests in it, and so is the commit to the ledger: one batch belongs
to many traces. What is not traced costs a comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol

from config.errors import SettingInvalid
from config.settings import Settings

_NOTHING: Final = nullcontext("")


class Tracing(Protocol):
    """Makes spans. Each is a context manager that gives its `traceparent`, empty where nothing is recorded."""

    def request(self, name: str, incoming: str | None) -> AbstractContextManager[str]:
        """A request's span; `incoming`: the client's traceparent header."""

    def rename(self, name: str) -> None:
        """Call the span that this thread is in so; nothing outside of one."""

    def linked(self, name: str, *, parent: str, links: Sequence[str]) -> AbstractContextManager[str]:
        """A span below `parent`, linked to others; nothing where all are empty."""

    def stage(self, name: str) -> AbstractContextManager[str]:
        """A span below the one that this thread is in; nothing outside of one."""

    def current(self) -> str:
        """The traceparent of the span that this thread is in; empty outside of one."""


class Untraced:
    """Tracing switched off."""

    def request(self, _name: str, _incoming: str | None) -> AbstractContextManager[str]:
        """See `Tracing.request`."""
        return _NOTHING

    def rename(self, _name: str) -> None:
        """See `Tracing.rename`."""

    def linked(self, _name: str, *, parent: str, links: Sequence[str]) -> AbstractContextManager[str]:  # noqa: ARG002
        """See `Tracing.linked`."""
        return _NOTHING

    def stage(self, _name: str) -> AbstractContextManager[str]:
        """See `Tracing.stage`."""
        return _NOTHING

    def current(self) -> str:
        """See `Tracing.current`."""
        return ""


_tracing: Tracing = Untraced()


def install(tracing: Tracing) -> None:
    """Make `tracing` the one that this process uses."""
    global _tracing
    _tracing = tracing


def configure_tracing(settings: Settings, *, process: str) -> None:
    """Trace to `otlp_endpoint`, if there is one. Call once per process. Raises SettingInvalid without the packages."""
    if not settings.otlp_endpoint:
        return
    try:
        # Here and not above: OpenTelemetry is an extra, and importing it takes 0.2 s.
        from config.otlp import otlp_tracing
    except ModuleNotFoundError as error:
        message = f"TOLLGATE_OTLP_ENDPOINT: {error.name} is not installed; pip install 'tollgate[tracing]'"
        raise SettingInvalid(message) from error
    install(otlp_tracing(settings, process=process))


def request_span(name: str, incoming: str | None) -> AbstractContextManager[str]:
    """See `Tracing.request`."""
    return _tracing.request(name, incoming)


def rename_span(name: str) -> None:
    """See `Tracing.rename`."""
    _tracing.rename(name)


def linked_span(name: str, *, parent: str = "", links: Sequence[str] = ()) -> AbstractContextManager[str]:
    """See `Tracing.linked`."""
    return _tracing.linked(name, parent=parent, links=links)


def stage_span(name: str) -> AbstractContextManager[str]:
    """See `Tracing.stage`."""
    return _tracing.stage(name)


def current_traceparent() -> str:
    """See `Tracing.current`."""
    return _tracing.current()
