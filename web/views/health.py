"""GET /health, /health/live, /health/ready: may traffic come here?"""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response, request

from config.errors import NotReady
from web.answer import json_answer
from web.auth.principal import principal_of
from web.ports.gateway import Health
from web.problems import as_response, problem_answer
from web.services import Services
from web.shapes.health import HealthReport, Liveness


def health_blueprint(services: Services) -> Blueprint:
    """The routes of this module."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/health")
    @blueprint.get("/health/ready")
    def get_health() -> Response:
        health = services.gateway.health()
        report = health_report(health)
        if not principal_of(request.environ).may("read"):
            report = health_for_nobody(report)
        if health.is_ready:
            return as_response(json_answer(200, msgspec.json.encode(report)))
        error = NotReady(report.detail or _why_not(health), retry_after_s=1)
        return as_response(problem_answer(error, extra=_without_problem_members(report)))

    @blueprint.get("/health/live")
    def get_liveness() -> Response:
        return as_response(json_answer(200, msgspec.json.encode(Liveness("ok"))))

    return blueprint


def health_report(health: Health) -> HealthReport:
    """What GET /health says."""
    return HealthReport(
        status="ok" if health.is_ready else "unavailable",
        model_version=health.model_version,
        champion=dict(health.champion) if health.champion is not None else None,
        workers=list(health.workers),
        broker="up" if health.is_broker_up else "down",
        canary_age_s=health.canary_age_s,
        detail=health.detail,
        served_versions=sorted({one.model_version for one in health.workers if one.model_version}),
    )


def health_for_nobody(report: HealthReport) -> HealthReport:
    """What balancers and probes need, who show no credentials: whether it scores. No names, no versions."""
    return HealthReport(
        status=report.status,
        model_version=None,
        champion=None,
        workers=[],
        broker=report.broker,
        canary_age_s=None,
        detail="",
        served_versions=[],
    )


def _why_not(health: Health) -> str:
    if not health.is_broker_up:
        return "the broker does not answer"
    if health.champion is None:
        return "no model is promoted yet"
    return "no scoring worker has answered a canary recently"


def _without_problem_members(report: HealthReport) -> dict[str, object]:
    # `status` and `detail` are members that RFC 9457 defines.
    members: dict[str, object] = msgspec.to_builtins(report)
    return {name: value for name, value in members.items() if name not in ("status", "detail")}
