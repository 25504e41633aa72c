"""GET /metrics, the summary for people, and GET /prometheus, the same service for machines."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from flask import Blueprint, Response, render_template, request

from config import names
from config.errors import TollgateError
from web.answer import json_answer
from web.problems import as_response
from web.process_metrics import ProcessFacts
from web.quality import LiveQuality, shown
from web.quality_metrics import LedgerGauges, LedgerReading, read_ledger
from web.remembered import Remembered
from web.services import Services
from web.shapes.health import MetricsSummary
from web.shared_metrics import SharedReading, SharedState, read_shared
from web.summary_text import as_text, headline, is_bad, measured, worded, wrong_as_text
from web.trouble import troubles
from web.views.health import health_report
from web.worker_files import WorkerFiles

_UNAVAILABLE = "unavailable"
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
            return Response(as_page(msgspec.to_builtins(summary)), mimetype="text/html")
        parts = msgspec.to_builtins(summary)
        del parts["wrong"]
        text = wrong_as_text(summary.wrong) + as_text({"now": headline(parts), **parts})
        return Response(text, mimetype="text/plain")

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
    decisions, queue = _or_reason(services.ledger.summary), _or_reason(services.gateway.queue_stats)
    return MetricsSummary(
        wrong=troubles(health, {} if _UNAVAILABLE in queue else queue, is_ledger_up=_UNAVAILABLE not in decisions),
        decisions=decisions,
        quality=_or_reason(lambda: shown(*_quality(services).recent(now=datetime.now(UTC)))),
        queue=queue,
        drift=_or_reason(lambda: _drift(services.gateway.drift_stats())),
        service=health_report(health),
    )


def as_page(parts: Mapping[str, Any]) -> str:
    """The summary as a page: what matters now large, below it everything."""
    now = [(worded(name), measured(value, name), is_bad(name, value)) for name, value in headline(parts).items()]
    return render_template("metrics.html", now=now, summary=parts, queues=names.QUEUES)


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
        return {_UNAVAILABLE: error.detail}
