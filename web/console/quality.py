"""/console/quality: how right decisions were, by day, week, model version or segment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from flask import Blueprint, Response, request

from web.console.cohorts import CHARTS, cohort_curves, has_time
from web.console.page import page
from web.quality import LiveQuality
from web.query import parse_query
from web.services import Services
from web.views.quality import PARAMETERS, grouping, read_day

HERE: Final = "quality"


def quality_pages(services: Services) -> Blueprint:
    """The route of this module."""
    blueprint = Blueprint("quality", __name__)
    quality = LiveQuality(services.ledger, services.settings.model_dir)

    @blueprint.get("/quality")
    def get_quality() -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), PARAMETERS)
        given = {name: value for name, value in query.items() if value}
        since, until = read_day(given, "since"), read_day(given, "until")
        report = quality.report(grouping(given), since=since, until=until, now=datetime.now(UTC))
        return page(
            "quality.html",
            here=HERE,
            report=report,
            groups=list(reversed(report.groups)) if has_time(report.by) else report.groups,
            given=given,
            charts=CHARTS,
            curves=cohort_curves(report.groups) if has_time(report.by) and report.groups else None,
        )

    return blueprint
