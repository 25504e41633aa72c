"""/console/drift: what the drift checks found, and one check column by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from flask import Blueprint, Response

from web.console.page import page
from web.services import Services
from web.views.drift import find_report, summarise

HERE: Final = "drift"
SHOWN: Final = 50


def drift_pages(services: Services) -> Blueprint:
    """The routes of this module."""
    blueprint = Blueprint("drift", __name__)
    ledger = services.ledger

    @blueprint.get("/drift")
    def get_drift() -> Response:
        found = ledger.drift_reports(SHOWN)
        return _drift_page(found[0] if found else None, found)

    @blueprint.get("/drift/<int:report_id>")
    def get_drift_report(report_id: int) -> Response:
        return _drift_page(find_report(services, report_id), ledger.drift_reports(SHOWN))

    return blueprint


def _drift_page(shown: Mapping[str, Any] | None, found: Sequence[Mapping[str, Any]]) -> Response:
    return page(
        "drift.html",
        here=HERE,
        summary=None if shown is None else summarise(shown),
        report=None if shown is None else shown["report"],
        columns=[] if shown is None else drawn_columns(shown["report"]),
        checks=[summarise(one) for one in found],
    )


def drawn_columns(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The score and then every column, each with `bars` of its bins: x, width, heights in percent of the largest."""
    columns = [*([report["score"]] if report["score"] else []), *report["columns"]]
    return [{**column, "bars": _bars(column["reference"], column["window"])} for column in columns]


def _bars(reference: Sequence[float], window: Sequence[float]) -> list[dict[str, float]]:
    largest = max([*reference, *window], default=0.0) or 1.0
    width = 100 / max(1, len(reference))
    return [
        {"x": number * width, "width": width, "reference": 100 * before / largest, "window": 100 * now / largest}
        for number, (before, now) in enumerate(zip(reference, window, strict=True))
    ]
