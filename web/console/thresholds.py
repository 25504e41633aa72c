"""/console/thresholds: the advisor. The page asks GET /thresholds again whenever a cost or the capacity changes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final, NamedTuple

from flask import Blueprint, Response

from ml.advisor.report import DEFAULT_DAYS, MOST_DAYS
from ml.costs import COST_BOUNDS, REVIEWER_BOUNDS
from web.console.page import page
from web.services import Services
from web.thresholds import ThresholdAdvisor

HERE: Final = "thresholds"


class Dial(NamedTuple):
    """One cost to turn. `most`, `step`: of its slider; the number beside it takes all that is allowed."""

    name: str
    title: str
    most: float
    step: float


DIALS: Final = (
    Dial("refusal", "Declining a good payment", 100, 1),
    Dial("review", "One review", 20, 0.25),
    Dial("review_misses", "Fraud that a review misses (share)", 0.5, 0.01),
    Dial("margin", "Earned on a good payment (share)", 0.1, 0.0025),
    Dial("chargeback_fee", "Chargeback fee", 100, 1),
    Dial("typical_amount", "Amount of a payment that has none", 1000, 10),
)


def threshold_pages(services: Services) -> Blueprint:
    """The route of this module."""
    blueprint = Blueprint("thresholds", __name__)
    advisor = ThresholdAdvisor(services.ledger, services.settings, services.schema)

    @blueprint.get("/thresholds")
    def get_thresholds() -> Response:
        policy = advisor.policy()
        return page(
            "thresholds.html",
            here=HERE,
            dials=DIALS,
            bounds=COST_BOUNDS,
            costs=asdict(policy.costs),
            reviewers=policy.reviewers,
            reviewer_bounds=REVIEWER_BOUNDS,
            days=DEFAULT_DAYS,
            most_days=MOST_DAYS,
        )

    return blueprint
