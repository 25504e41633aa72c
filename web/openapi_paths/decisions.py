"""Stored decisions, live quality, advice on thresholds, drift."""

from __future__ import annotations

from typing import Any, get_args

from config.contracts import Action
from ml.advisor.report import DEFAULT_DAYS, MOST_DAYS
from ml.costs import COST_BOUNDS, REVIEWER_BOUNDS
from ml.ledger.review_book import REVIEW_ORDERS
from ml.quality.summary import GROUPINGS
from web.openapi_paths.parts import TEXT, answer, operation, path, problems, query


def decisions() -> dict[str, Any]:
    moment = {"type": "string", "format": "date-time"}
    share = {"type": "number", "minimum": 0, "maximum": 1}
    return operation(
        "ledger",
        "List decisions, newest first",
        "listDecisions",
        parameters=[
            query("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}, "Most per page."),
            query("before", {"type": "integer", "minimum": 0}, "The `id` at the end of the page before."),
            query("action", {"enum": list(get_args(Action))}, "Only this action."),
            query("model_version", TEXT, "Only this model version."),
            query("is_fraud", {"type": "boolean"}, "Only this verdict."),
            query("since", moment, "Scored at or after."),
            query("until", moment, "Scored before."),
            query("min_probability", share, "Fraud probability at least."),
            query("max_probability", share, "Fraud probability at most."),
            query("labelled", {"type": "boolean"}, "Only with, or only without a label."),
            query("entity", TEXT, "Only about one account, card or merchant: the schema's name for it."),
            query("value", TEXT, "Its id; goes with `entity`."),
        ],
        responses={"200": answer("A page", "DecisionPage"), **problems(422, 503)},
    )


def decision() -> dict[str, Any]:
    return operation(
        "ledger",
        "One decision, with what was sent and what was derived",
        "getDecision",
        parameters=[path("decision_id", "A decision id or a transaction id.")],
        responses={"200": answer("The decision", "DecisionRecord"), **problems(404, 503)},
    )


def reviews() -> dict[str, Any]:
    return operation(
        "ledger",
        "The decisions that wait for a person, and how many there are",
        "listReviews",
        parameters=[
            query(
                "order", {"enum": list(REVIEW_ORDERS), "default": "loss"}, "Largest expected loss, or oldest, first."
            ),
            query("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}, "Most cases."),
            query("after", {"type": "integer", "minimum": 0}, "Only those after the decision with this `id`."),
        ],
        responses={"200": answer("The queue", "ReviewQueue"), **problems(422, 503)},
    )


def quality() -> dict[str, Any]:
    day = {"type": "string", "description": "A date, or a time with its zone: then its day in UTC."}
    return operation(
        "quality",
        "Live accuracy, precision, recall and money, with their uncertainty",
        "getQuality",
        parameters=[
            query("by", {"enum": list(GROUPINGS), "default": "day"}, "One line per what."),
            query("since", day, "First day of event time; default: 90 days before the last."),
            query("until", day, "The day after the last; default: tomorrow."),
        ],
        responses={"200": answer("Live quality", "QualityReport"), **problems(422, 503)},
    )


def thresholds() -> dict[str, Any]:
    costs = [
        query(name, {"type": "number", "minimum": low, "maximum": high}, "In place of the policy file's `[costs]`.")
        for name, (low, high) in COST_BOUNDS.items()
    ]
    days = {"type": "integer", "minimum": 1, "maximum": MOST_DAYS, "default": DEFAULT_DAYS}
    most, minutes = ({"type": "number", "minimum": low, "maximum": high} for low, high in REVIEWER_BOUNDS.values())
    return operation(
        "quality",
        "From which score to review and to decline",
        "getThresholds",
        parameters=[
            *costs,
            query("reviews_per_day", most, "What reviewers manage; default: the policy file's, else any number."),
            query("review_minutes", minutes, "What one review takes."),
            query("days", days, "At most so many days, the last ones whose labels are in."),
            query("model_version", {"type": "string"}, "Whose decisions; default: the champion's, or of all models."),
        ],
        responses={"200": answer("Advice", "ThresholdReport"), **problems(422, 503)},
    )


def drift_paths() -> dict[str, Any]:
    limit = query("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}, "Most reports.")
    number = {**path("report_id"), "schema": {"type": "integer", "minimum": 0}}
    picture = {"200": {"description": "PNG", "content": {"image/png": {"schema": {"type": "string"}}}}}
    listed = {"200": answer("Checks, newest first", "DriftList"), **problems(422, 503)}
    found = {"200": answer("The check", "DriftRecord"), **problems(404, 503)}
    return {
        "/drift": {"get": operation("models", "Drift checks", "listDrift", parameters=[limit], responses=listed)},
        "/drift/{report_id}": {
            "get": operation("models", "One drift check", "getDrift", parameters=[number], responses=found)
        },
        "/drift/{report_id}.png": {
            "get": operation(
                "models",
                "Its picture",
                "getDriftPicture",
                parameters=[number],
                responses={**picture, **problems(404)},
            )
        },
    }
