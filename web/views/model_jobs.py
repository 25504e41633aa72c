"""POST /retrain, /models/rollback, /models/{model_version}/promote, /shadow, /canary: jobs that a worker does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from flask import Blueprint, Response, request

from config import errors
from config.errors import TollgateError, UnknownId
from config.queue.model_jobs import ChallengerKind, ModelJob
from web.answer import json_answer
from web.auth.actor import actor_of
from web.bundles import list_bundles
from web.identifiers import known_length
from web.problems import as_response, retry_after
from web.query import flag, number, parse_query
from web.services import Services
from web.shapes.models import TrainingState

USUAL_WAIT_S: Final = 20.0
LONGEST_WAIT_S: Final = 120.0
POLL_S: Final = 2.0
USUAL_SHARE: Final = 0.05
SMALLEST_SHARE: Final = 0.001
LARGEST_SHARE: Final = 0.5
_ERRORS: Final = {
    kind.code: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TollgateError)
}


def model_jobs_blueprint(services: Services) -> Blueprint:
    """The routes of this module."""
    blueprint = Blueprint("model_jobs", __name__)
    models = services.models

    @blueprint.post("/retrain")
    def post_retrain() -> Response:
        parse_query(request.environ.get("QUERY_STRING", ""), ())
        return _accepted(models.retrain(actor=actor_of(request.environ)), "/retrain")

    @blueprint.get("/retrain")
    def get_retrain() -> Response:
        return as_response(json_answer(200, msgspec.json.encode(training_state(models.latest_training()))))

    @blueprint.post("/models/<model_version>/promote")
    def post_promote(model_version: str) -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), {"force", "timeout_s"})
        require_bundle(services, known_length(model_version))
        wait_s, force = _wait_s(query), flag(query, "force") is True
        job = models.promote(model_version, force=force, actor=actor_of(request.environ))
        return _finished(models.wait_for(job, timeout_s=wait_s))

    @blueprint.post("/models/rollback")
    def post_rollback() -> Response:
        wait_s = _wait_s(parse_query(request.environ.get("QUERY_STRING", ""), {"timeout_s"}))
        return _finished(models.wait_for(models.roll_back(actor=actor_of(request.environ)), timeout_s=wait_s))

    def compare(kind: ChallengerKind, model_version: str | None, query: Mapping[str, str], share: float) -> Response:
        wait_s = _wait_s(query)
        job = models.compare(kind, model_version, share=share, actor=actor_of(request.environ))
        return _finished(models.wait_for(job, timeout_s=wait_s))

    @blueprint.post("/models/<model_version>/shadow")
    def post_shadow(model_version: str) -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), {"timeout_s"})
        require_bundle(services, known_length(model_version))
        return compare("shadow", model_version, query, 0.0)

    @blueprint.post("/models/<model_version>/canary")
    def post_canary(model_version: str) -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), {"share", "timeout_s"})
        require_bundle(services, known_length(model_version))
        share = number(query, "share", default=USUAL_SHARE, low=SMALLEST_SHARE, high=LARGEST_SHARE)
        return compare("canary", model_version, query, share)

    @blueprint.delete("/models/challenger")
    def delete_challenger() -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), {"timeout_s"})
        return compare("end_challenger", None, query, 0.0)

    @blueprint.get("/models/jobs/<job_id>")
    def get_model_job(job_id: str) -> Response:
        job = models.find(known_length(job_id))
        if job is None:
            raise UnknownId(f"no model job is known by the id {job_id!r}")
        return as_response(json_answer(200, msgspec.json.encode(job)))

    return blueprint


def training_state(latest: ModelJob | None) -> TrainingState:
    """What GET /retrain says."""
    if latest is None or latest.is_finished:
        return TrainingState(status="idle", latest=latest)
    return TrainingState(status="running" if latest.status == "running" else "queued", latest=latest)


def require_bundle(services: Services, model_version: str) -> None:
    """Tell a wrong name at once, not after a worker has looked. Raises UnknownId."""
    entries = list_bundles(services.settings.model_dir, champion=None)
    if model_version not in {entry.model_version for entry in entries}:
        raise UnknownId(f"the bundle store has no model {model_version!r}")


def _wait_s(query: Mapping[str, str]) -> float:
    return number(query, "timeout_s", default=USUAL_WAIT_S, low=0.0, high=LONGEST_WAIT_S)


def _finished(job: ModelJob) -> Response:
    """200 when it is done, 202 while it is not.

    Raises: what the worker refused it with, or TollgateError when the work crashed.
    """
    if job.status == "done":
        return as_response(json_answer(200, msgspec.json.encode(job)))
    if job.status == "refused":
        raise _ERRORS.get(job.code or "", TollgateError)(job.detail)
    if job.status == "failed":
        raise TollgateError(f"the worker could not finish this ({job.detail}); its log has the reason")
    return _accepted(job, f"/models/jobs/{job.job_id}")


def _accepted(job: ModelJob, location: str) -> Response:
    return as_response(json_answer(202, msgspec.json.encode(job), ("Location", location), retry_after(POLL_S)))
