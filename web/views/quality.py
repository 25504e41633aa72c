"""GET /quality: how right decisions were, by day, week, model version or segment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Final

import msgspec
from flask import Blueprint, Response, request

from ml.quality.cells import day_of
from ml.quality.summary import GROUPINGS, Grouping
from web.answer import json_answer
from web.problems import as_response
from web.quality import LiveQuality
from web.query import aware_time, parse_query, refused
from web.services import Services

PARAMETERS: Final = ("by", "since", "until")


def quality_blueprint(services: Services) -> Blueprint:
    """The route of this module."""
    blueprint = Blueprint("quality", __name__)
    quality = LiveQuality(services.ledger, services.settings.model_dir)

    @blueprint.get("/quality")
    def get_quality() -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), PARAMETERS)
        report = quality.report(
            grouping(query), since=read_day(query, "since"), until=read_day(query, "until"), now=datetime.now(UTC)
        )
        return as_response(json_answer(200, msgspec.json.encode(report)))

    return blueprint


def grouping(query: Mapping[str, str]) -> Grouping:
    """What the lines are of. Raises InvalidRequest."""
    by = query.get("by", "day")
    if by not in GROUPINGS:
        raise refused("by", "not_allowed", f"must be one of {', '.join(GROUPINGS)}")
    return by


def read_day(query: Mapping[str, str], name: str) -> str | None:
    """A date, or the UTC day of a time. Raises InvalidRequest."""
    value = query.get(name)
    if value is None:
        return None
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        return day_of(aware_time(value, name))
