"""GET /reviews: the decisions that wait for a person."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from flask import Blueprint, Response, request

from ml.ledger.review_book import PAGE_LIMIT, REVIEW_ORDERS, ReviewOrder
from web.answer import json_answer
from web.problems import as_response
from web.query import LAST_CURSOR, parse_query, refused, whole
from web.reviews import Reviews
from web.services import Services
from web.tenancy import tenant_at


def reviews_blueprint(services: Services) -> Blueprint:
    """The route of this module."""
    blueprint = Blueprint("reviews", __name__)

    @blueprint.get("/reviews")
    def get_reviews() -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), {"order", "limit", "after"})
        limit = whole(query, "limit", default=50, low=1, high=PAGE_LIMIT)
        reviews = Reviews(services.ledger, services.gateway, tenant_at(request.environ))
        now, after = datetime.now(UTC), review_cursor(query)
        queue = reviews.queue(review_order(query), limit=limit, now=now, after=after)
        return as_response(json_answer(200, msgspec.json.encode(queue)))

    return blueprint


def review_order(query: Mapping[str, str]) -> ReviewOrder:
    """The order that a query asks for; by expected loss when it does not say. Raises InvalidRequest."""
    for order in REVIEW_ORDERS:
        if query.get("order", "loss") == order:
            return order
    raise refused("order", "not_allowed", f"must be one of {', '.join(REVIEW_ORDERS)}")


def review_cursor(query: Mapping[str, str]) -> int | None:
    """The decision after which a page begins; None for the first page. Raises InvalidRequest."""
    return whole(query, "after", default=0, low=0, high=LAST_CURSOR) or None
