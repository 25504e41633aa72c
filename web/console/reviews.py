"""/console/reviews: the queue of decisions that wait for a person, labelled from the keyboard."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from flask import Blueprint, Response, g, request

from config.errors import FieldError, InvalidRequest, UnknownId
from config.schema.model import Schema
from web.body import read_body, require_json
from web.console.decisions import entities_of, reason_bars
from web.console.page import data, fragment, page
from web.identifiers import known_length
from web.labels import read_object
from web.ports.ledger import StoredDecision
from web.query import parse_query
from web.reviews import Reviews
from web.services import Services
from web.tenancy import tenant_at
from web.views.reviews import review_cursor, review_order

SHOWN: Final = 100
PAGE: Final = frozenset({"order", "after"})
HISTORY_ROWS: Final = 8


def review_pages(services: Services) -> Blueprint:
    """The routes of this module."""
    blueprint = Blueprint("reviews", __name__)

    def reviews() -> Reviews:
        return Reviews(services.ledger, services.gateway, tenant_at(request.environ))

    @blueprint.get("/reviews")
    def get_reviews() -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), PAGE)
        return page("reviews.html", here="reviews", order=review_order(query), after=review_cursor(query))

    @blueprint.get("/reviews/queue")
    def get_queue() -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), PAGE)
        order, after, reviewer = review_order(query), review_cursor(query), g.visitor.visitor_id
        return data(reviews().queue(order, limit=SHOWN, now=datetime.now(UTC), reviewer=reviewer, after=after))

    @blueprint.get("/reviews/<decision_id>/case")
    def get_case(decision_id: str) -> Response:
        tenant = tenant_at(request.environ)
        stored = services.ledger.find_decision(known_length(decision_id), tenant=tenant)
        if stored is None:
            raise UnknownId(f"the ledger has no decision {decision_id!r}")
        about = entities_of(services.schema, stored)
        history = services.ledger.history_of(*about[0], limit=HISTORY_ROWS, tenant=tenant) if about else []
        return fragment(
            "case.html",
            stored=stored,
            reasons=reason_bars(stored),
            about=about,
            facts=other_facts(services.schema, stored),
            history=history,
        )

    @blueprint.post("/reviews/<decision_id>/claim")
    def post_claim(decision_id: str) -> Response:
        reviews().claim(known_length(decision_id), reviewer=g.visitor.visitor_id)
        return Response(status=204)

    @blueprint.post("/reviews/<decision_id>/release")
    def post_release(decision_id: str) -> Response:
        reviews().release(known_length(decision_id), reviewer=g.visitor.visitor_id)
        return Response(status=204)

    @blueprint.post("/reviews/<decision_id>/label")
    def post_label(decision_id: str) -> Response:
        require_json(request.environ)
        with services.bodies:
            is_fraud = _verdict(read_body(request.environ, services.settings.max_body_bytes))
        said = {"is_fraud": is_fraud, "reviewer": g.visitor.visitor_id, "client": g.visitor.name}
        return data(reviews().label(known_length(decision_id), now=datetime.now(UTC), **said), 202)

    return blueprint


def other_facts(schema: Schema, stored: StoredDecision) -> dict[str, Any]:
    """What was sent, without what a case shows under names of its own: amount, time, ids."""
    roles = schema.roles
    named = {roles.amount, roles.event_time, roles.transaction_id, *(field for _, field in roles.entities)}
    return {name: value for name, value in stored.sent.items() if name not in named}


def _verdict(body: bytes) -> bool:
    """`{"is_fraud": true}`. Raises MalformedBody, InvalidRequest."""
    is_fraud = read_object(body).get("is_fraud")
    if not isinstance(is_fraud, bool):
        wrong = FieldError("/is_fraud", "not_a_boolean", "must be true or false")
        raise InvalidRequest("the label does not say what the payment was", errors=(wrong,))
    return is_fraud
