"""GET /thresholds: from which probability to review and to decline, what that costs, and what lies around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import msgspec
from flask import Blueprint, Response, request

from ml.advisor.report import DEFAULT_DAYS, MOST_DAYS, Question
from ml.costs import COST_BOUNDS, REVIEWER_BOUNDS, CostMatrix, Reviewers
from web.answer import json_answer
from web.problems import as_response
from web.query import number, parse_query, whole
from web.services import Services
from web.thresholds import ThresholdAdvisor

PARAMETERS: Final = (*COST_BOUNDS, "reviews_per_day", "review_minutes", "days", "model_version")


def thresholds_blueprint(services: Services) -> Blueprint:
    """The route of this module."""
    blueprint = Blueprint("thresholds", __name__)
    advisor = ThresholdAdvisor(services.ledger, services.settings, services.schema)

    @blueprint.get("/thresholds")
    def get_thresholds() -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), PARAMETERS)
        policy, champion = advisor.policy(), services.gateway.health().model_version
        question = Question(
            costs=_costs(query, policy.costs),
            reviewers=_reviewers(query, policy.reviewers),
            days=whole(query, "days", default=DEFAULT_DAYS, low=1, high=MOST_DAYS),
            model_version=query.get("model_version"),
            champion=champion,
            current=advisor.thresholds_in_force(policy, champion),
        )
        report = advisor.report(question, now=datetime.now(UTC))
        return as_response(json_answer(200, msgspec.json.encode(report)))

    return blueprint


def _costs(query: Mapping[str, str], own: CostMatrix) -> CostMatrix:
    """The policy file's costs with what was asked for. Raises InvalidRequest."""
    asked = {
        name: number(query, name, default=getattr(own, name), low=low, high=high)
        for name, (low, high) in COST_BOUNDS.items()
    }
    return replace(own, **asked)


def _reviewers(query: Mapping[str, str], own: Reviewers) -> Reviewers:
    low, high = REVIEWER_BOUNDS["per_day"]
    per_day = own.per_day
    if "reviews_per_day" in query:
        per_day = number(query, "reviews_per_day", default=0.0, low=low, high=high)
    low, high = REVIEWER_BOUNDS["minutes"]
    return Reviewers(per_day, number(query, "review_minutes", default=own.minutes, low=low, high=high))
