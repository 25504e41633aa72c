"""GET /models and POST /reload-model: which model serves, and let every scoring worker load it."""

from __future__ import annotations

from typing import Any

import msgspec
import structlog
from flask import Blueprint, Response, request

from config.errors import BrokerUnavailable, LedgerUnavailable
from web.answer import json_answer
from web.bundles import incremental_summary, list_bundles
from web.ports.models import ChallengerState
from web.problems import as_response
from web.query import flag, number, parse_query
from web.services import Services
from web.shapes.models import ModelList, ReloadAnswer

_LONGEST_WAIT_S = 120.0

_log = structlog.get_logger("tollgate.web")


def models_blueprint(services: Services) -> Blueprint:
    """The routes of this module."""
    blueprint = Blueprint("models", __name__)

    @blueprint.post("/reload-model")
    def post_reload_model() -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), {"timeout_s", "wait"})
        default_s = services.settings.reload_timeout_s
        timeout_s = number(query, "timeout_s", default=default_s, low=0.0, high=_LONGEST_WAIT_S)
        # wait=false only asks: the workers' answers show in GET /health and in GET /prometheus.
        report = services.gateway.reload(timeout_s=0.0 if flag(query, "wait") is False else timeout_s)
        answer = ReloadAnswer(workers=list(report.workers), agreed=report.agreed)
        return as_response(json_answer(200 if report.agreed else 207, msgspec.json.encode(answer)))

    @blueprint.get("/models")
    def get_models() -> Response:
        return as_response(json_answer(200, msgspec.json.encode(list_models(services))))

    return blueprint


def list_models(services: Services) -> ModelList:
    """What GET /models says."""
    health = services.gateway.health()
    champion = dict(health.champion) if health.champion is not None else None
    models = list_bundles(services.settings.model_dir, champion=health.model_version)
    state = _challenger(services)
    return ModelList(
        champion=champion,
        models=models,
        events=_events(services),
        challenger=state.pointer,
        guard=dict(state.guard) if state.guard else None,
        incremental=incremental_summary(services.settings.model_dir),
    )


def _challenger(services: Services) -> ChallengerState:
    """Fails open, as the champion does in GET /models: the bundles are seen while the broker is down."""
    try:
        return services.models.challenger()
    except BrokerUnavailable as error:
        _log.warning("challenger_unavailable", error=error.detail)
        return ChallengerState()


def _events(services: Services) -> list[dict[str, Any]] | None:
    """Fails open: which model serves must be seen while the ledger is down."""
    try:
        return [dict(event) for event in services.ledger.model_events()]
    except LedgerUnavailable as error:
        _log.warning("model_events_unavailable", error=error.detail)
        return None
