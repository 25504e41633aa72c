"""/console/models: champion and challengers, what the gate said of each, and the changes that an operator asks for."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, g, request

from config import names
from config.errors import BrokerUnavailable
from web.auth.actor import actor_of
from web.console.model_facts import facts_of, shown_curves
from web.console.page import data, page
from web.identifiers import known_length
from web.query import flag, number, parse_query
from web.services import Services
from web.shapes.models import ModelEntry, ModelList, ReloadAnswer, TrainingState
from web.views.model_jobs import LARGEST_SHARE, SMALLEST_SHARE, USUAL_SHARE, require_bundle, training_state
from web.views.models import list_models

HERE: Final = "models"
EVENTS: Final = 50


def model_pages(services: Services) -> Blueprint:
    """The routes of this module."""
    blueprint = Blueprint("models", __name__)
    models = services.models

    @blueprint.get("/models")
    def get_models() -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), {"model"})
        return _models_page(services, query.get("model"))

    @blueprint.post("/models/<model_version>/promote")
    def post_promote(model_version: str) -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), {"force"})
        require_bundle(services, known_length(model_version))
        force = flag(query, "force") is True
        return data(models.promote(model_version, force=force, actor=_actor()), 202)

    @blueprint.post("/models/<model_version>/shadow")
    def post_shadow(model_version: str) -> Response:
        require_bundle(services, known_length(model_version))
        return data(models.compare("shadow", model_version, share=0.0, actor=_actor()), 202)

    @blueprint.post("/models/<model_version>/canary")
    def post_canary(model_version: str) -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), {"share"})
        share = number(query, "share", default=USUAL_SHARE, low=SMALLEST_SHARE, high=LARGEST_SHARE)
        require_bundle(services, known_length(model_version))
        return data(models.compare("canary", model_version, share=share, actor=_actor()), 202)

    @blueprint.post("/models/challenger/end")
    def post_end() -> Response:
        return data(models.compare("end_challenger", None, share=0.0, actor=_actor()), 202)

    @blueprint.post("/models/rollback")
    def post_rollback() -> Response:
        return data(models.roll_back(actor=_actor()), 202)

    @blueprint.post("/models/retrain")
    def post_retrain() -> Response:
        return data(models.retrain(actor=_actor()), 202)

    @blueprint.post("/models/reload")
    def post_reload() -> Response:
        report = services.gateway.reload(timeout_s=services.settings.reload_timeout_s)
        return data(ReloadAnswer(workers=list(report.workers), agreed=report.agreed), 200 if report.agreed else 207)

    return blueprint


def _models_page(services: Services, chosen: str | None) -> Response:
    listed, health = list_models(services), services.gateway.health()
    entry = _chosen(listed, chosen or health.model_version)
    champion = _chosen(listed, health.model_version, strict=True)
    return page(
        "models.html",
        here=HERE,
        listed=listed,
        events=(listed.events or [])[:EVENTS],
        workers=[one for one in health.workers if one.role in names.ROLES_WITH_A_MODEL],
        facts={one.model_version: facts_of(one) for one in listed.models},
        entry=entry,
        missing=chosen if chosen and (entry is None or entry.model_version != chosen) else None,
        champion=champion,
        curves=shown_curves(entry, champion),
        training=_training(services),
    )


def _chosen(listed: ModelList, version: str | None, *, strict: bool = False) -> ModelEntry | None:
    """The entry of this version; else the newest, unless that would be another."""
    found = next((one for one in listed.models if one.model_version == version), None)
    return found if found or strict or not listed.models else listed.models[0]


def _training(services: Services) -> TrainingState | None:
    """Whether one runs; None while the broker cannot say: the page is seen above all when something is down."""
    try:
        return training_state(services.models.latest_training())
    except BrokerUnavailable:
        return None


def _actor() -> str:
    return actor_of(request.environ, otherwise=f"console:{g.visitor.visitor_id}")
