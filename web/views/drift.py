"""GET /drift, /drift/{id} and /drift/{id}.png: what the drift checks found. The background worker makes all of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from flask import Blueprint, Response, request

from config.blobs.choice import blobs_of
from config.errors import UnknownId
from config.queue.blobs import drift_picture
from web.answer import json_answer
from web.problems import as_response
from web.query import parse_query, whole
from web.services import Services
from web.shapes.drift import DriftList, DriftRecord, DriftSummary

LIMIT_MAX: Final = 500
_LAST_ID: Final = 2**53


def drift_blueprint(services: Services) -> Blueprint:
    """The routes of this module."""
    blueprint = Blueprint("drift", __name__)
    blobs = blobs_of(services.settings)

    @blueprint.get("/drift")
    def get_drift() -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), {"limit"})
        found = services.ledger.drift_reports(whole(query, "limit", default=50, low=1, high=LIMIT_MAX))
        newest = found[0]["report"] if found else None
        answer = DriftList([summarise(stored) for stored in found], newest)
        return as_response(json_answer(200, msgspec.json.encode(answer)))

    @blueprint.get("/drift/<int:report_id>")
    def get_drift_report(report_id: int) -> Response:
        stored = find_report(services, report_id)
        return as_response(json_answer(200, msgspec.json.encode(msgspec.convert(stored, DriftRecord))))

    @blueprint.get("/drift/<int:report_id>.png")
    def get_drift_picture(report_id: int) -> Response:
        try:
            with drift_picture(blobs, report_id).open() as file:
                picture = file.read()
        except OSError as error:
            raise UnknownId(f"there is no picture of a drift report {report_id}") from error
        return Response(picture, mimetype="image/png", headers={"Cache-Control": "private, max-age=86400"})

    return blueprint


def find_report(services: Services, report_id: int) -> Mapping[str, Any]:
    """One report as it is stored. Raises UnknownId, LedgerUnavailable."""
    stored = services.ledger.drift_report(report_id) if report_id <= _LAST_ID else None
    if stored is None:
        raise UnknownId(f"there is no drift report {report_id}")
    return stored


def summarise(stored: Mapping[str, Any]) -> DriftSummary:
    """A report as the list shows it."""
    report, number = stored["report"], stored["id"]
    score = report["score"]
    return DriftSummary(
        id=number,
        created_at=stored["created_at"],
        status=report["status"],
        detail=report["detail"],
        model_version=report["model_version"],
        rows=report["rows"],
        score_psi=None if score is None else score["psi"],
        drifting=[column["name"] for column in report["columns"] if "distribution" in column["findings"]],
        has_asked=stored["has_asked"],
        location=f"/drift/{number}",
        picture=None if score is None else f"/drift/{number}.png",
    )
