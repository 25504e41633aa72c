"""GET /metrics, the summary for people, and GET /prometheus, the same service for machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from flask import Blueprint, Response, render_template, request

from config.errors import TollgateError
from web.answer import json_answer
from web.problems import as_response
from web.process_metrics import ProcessFacts
from web.quality import LiveQuality, shown
from web.quality_metrics import LedgerGauges, LedgerReading, read_ledger
from web.remembered import Remembered
from web.services import Services
from web.shapes import MetricsSummary
from web.shared_metrics import SharedReading, SharedState, read_shared
from web.views.health import health_report
from web.worker_files import WorkerFiles

_TYPES = ("text/plain", "application/json", "text/html")


def metrics_blueprint(services: Services) -> Blueprint:
    """The routes of this module."""
    blueprint = Blueprint("metrics", __name__)
    lifetime_s = services.settings.metrics_cache_s
    shared: Remembered[SharedReading] = Remembered(lambda: read_shared(services.gateway), lifetime_s)
    ledger: Remembered[LedgerReading] = Remembered(
        lambda: read_ledger(services.ledger, _quality(services), now=datetime.now(UTC)), lifetime_s
    )

    @blueprint.get("/metrics")
    def get_metrics() -> Response:
        summary = summarise(services)
        wanted = request.accept_mimetypes.best_match(_TYPES, default="text/plain")
        if wanted == "application/json":
            return as_response(json_answer(200, msgspec.json.encode(summary)))
        if wanted == "text/html":
            return Response(render_template("metrics.html", summary=msgspec.to_builtins(summary)), mimetype="text/html")
        return Response(as_text(msgspec.to_builtins(summary)), mimetype="text/plain")

    @blueprint.get("/prometheus")
    def get_prometheus() -> Response:
        text, content_type = services.metrics.exposition(
            request.headers.get("Accept", ""),
            SharedState(shared()),
            LedgerGauges(ledger()),
            ProcessFacts(services.settings.data_dir, services.schema),
            WorkerFiles(services.settings.data_dir / "metrics" / "workers"),
        )
        return Response(text, content_type=content_type)

    return blueprint


def summarise(services: Services) -> MetricsSummary:
    """What this service did so far. A part that cannot be read says why; the others are shown."""
    health = services.gateway.health()
    return MetricsSummary(
        decisions=_or_reason(services.ledger.summary),
        quality=_or_reason(lambda: shown(*_quality(services).recent(now=datetime.now(UTC)))),
        queue=_or_reason(services.gateway.queue_stats),
        drift=_or_reason(lambda: _drift(services.gateway.drift_stats())),
        service=health_report(health),
    )


def _drift(stats: Mapping[str, float]) -> dict[str, Any]:
    """The last check's numbers, its time as people read it."""
    rest = {name: figure for name, figure in stats.items() if name != "checked_at_s"}
    if "checked_at_s" not in stats:
        return rest
    checked_at = datetime.fromtimestamp(stats["checked_at_s"], UTC)
    return {"checked_at": checked_at.isoformat(timespec="seconds"), **rest}


def _quality(services: Services) -> LiveQuality:
    return LiveQuality(services.ledger, services.settings.model_dir)


def _or_reason(read: Any) -> dict[str, Any]:
    try:
        return dict(read())
    except TollgateError as error:
        return {"unavailable": error.detail}


def as_text(summary: Mapping[str, Any]) -> str:
    """The summary as lines of `name: value`, a heading per part, indented by depth."""
    return "\n".join(_lines(summary, 0)) + "\n"


def _lines(value: Any, depth: int) -> Iterator[str]:
    items = value.items() if isinstance(value, Mapping) else enumerate(value, start=1)
    for name, item in items:
        indent = "  " * depth
        label = str(name).replace("_", " ")
        if isinstance(item, Mapping | list) and item and not is_figure(item):
            yield f"{indent}{label}:"
            yield from _lines(item, depth + 1)
        else:
            yield f"{indent}{label}: {readable(item)}"


def is_figure(value: Any) -> bool:
    """Whether it is a value with its interval."""
    return isinstance(value, Mapping) and set(value) == {"value", "low", "high"}


def readable(value: Any) -> str:
    """A value as people read it.

    >>> [readable(v) for v in (None, True, 0.98765432, 3.0, {})]
    ['-', 'yes', '0.9877', '3', '-']
    >>> readable({"value": 0.5, "low": 0.25, "high": 0.75})
    '0.5 (0.25 to 0.75)'
    """
    if is_figure(value):
        return f"{readable(value['value'])} ({readable(value['low'])} to {readable(value['high'])})"
    if value is None or value in ({}, [], ""):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:.4g}"
    return str(value)
