"""/console/operations: queues, journal, workers and what went wrong; dead letters to look at, replay or drop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from flask import Blueprint, Response, redirect, request
from werkzeug import Response as AnyResponse

from config.errors import BrokerUnavailable
from web.console.overview import overview_reader
from web.console.page import page
from web.query import flag, parse_query, whole
from web.services import Services
from web.shapes.dead_letters import DeadLetterRecord
from web.views.dead_letters import dead_letter_record, known_entry, unknown_entry

HERE: Final = "operations"
PAGE_ROWS: Final = 25
_LAST_OFFSET: Final = 2**31


def operation_pages(services: Services) -> Blueprint:
    """The routes of this module."""
    blueprint = Blueprint("operations", __name__)
    gateway, look = services.gateway, overview_reader(services)
    field_names = [field.name for field in services.schema.fields]

    @blueprint.get("/operations")
    def get_operations() -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), {"offset", "done"})
        offset = whole(query, "offset", default=0, low=0, high=_LAST_OFFSET)
        letters = _letters(services, field_names, offset)
        return page(
            "operations.html",
            here=HERE,
            now=look(),
            letters=None if letters is None else letters[:PAGE_ROWS],
            newer=_at(offset - PAGE_ROWS) if offset else None,
            older=_at(offset + PAGE_ROWS) if letters and len(letters) > PAGE_ROWS else None,
            done={"replayed": "It is on its queue again.", "dropped": "It is forgotten."}.get(query.get("done", "")),
        )

    @blueprint.get("/operations/dead-letters/<path:entry_id>")
    def get_dead_letter(entry_id: str) -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), {"values"})
        has_values = flag(query, "values") is True
        letter = gateway.dead_letters.find(known_entry(entry_id))
        if letter is None:
            raise unknown_entry(entry_id)
        record = dead_letter_record(letter, field_names, has_values=has_values)
        return page("dead_letter.html", here=HERE, letter=record, has_values=has_values)

    @blueprint.post("/operations/dead-letters/<path:entry_id>/replay")
    def post_replay(entry_id: str) -> AnyResponse:
        if not gateway.dead_letters.replay(known_entry(entry_id)):
            raise unknown_entry(entry_id)
        return redirect("/console/operations?done=replayed#dead-letters", 303)

    @blueprint.post("/operations/dead-letters/<path:entry_id>/drop")
    def post_drop(entry_id: str) -> AnyResponse:
        if not gateway.dead_letters.drop(known_entry(entry_id)):
            raise unknown_entry(entry_id)
        return redirect("/console/operations?done=dropped#dead-letters", 303)

    return blueprint


def _letters(services: Services, field_names: Sequence[str], offset: int) -> list[DeadLetterRecord] | None:
    """One more than a page shows; None while the broker does not answer: the rest of the page says so."""
    try:
        found = services.gateway.dead_letters.page(limit=PAGE_ROWS + 1, offset=offset)
    except BrokerUnavailable:
        return None
    return [dead_letter_record(letter, field_names) for letter in found]


def _at(offset: int) -> str:
    return f"/console/operations?offset={max(0, offset)}#dead-letters"
