"""GET /dead-letters, GET and DELETE /dead-letters/{id}, POST /dead-letters/{id}/replay: accepted work given up.

Names and JSON types of what was sent are shown; its values (card data) only where `?values=true` asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from flask import Blueprint, Response, request

from config.errors import UnknownId
from config.queue.dead_letters import DeadLetter, types_of
from config.tenants import SEPARATOR
from web.answer import json_answer
from web.identifiers import known_length
from web.problems import as_response
from web.query import flag, parse_query, whole
from web.services import Services
from web.shapes.dead_letters import DeadLetterPage, DeadLetterRecord, ReplayRecord

PAGE_MAX: Final = 500
# A client's id of 128 characters behind the longest prefix and a chunk's number.
ENTRY_ID_MAX_LENGTH: Final = 200
_LAST_OFFSET: Final = 2**31


def dead_letters_blueprint(services: Services) -> Blueprint:
    """The routes of this module."""
    blueprint = Blueprint("dead_letters", __name__)
    desk = services.gateway
    field_names = [field.name for field in services.schema.fields]

    @blueprint.get("/dead-letters")
    def get_dead_letters() -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), ("limit", "offset"))
        limit = whole(query, "limit", default=50, low=1, high=PAGE_MAX)
        offset = whole(query, "offset", default=0, low=0, high=_LAST_OFFSET)
        # One more than asked for tells whether there is a following page.
        found = desk.dead_letters.page(limit=limit + 1, offset=offset)
        following = f"/dead-letters?limit={limit}&offset={offset + limit}" if len(found) > limit else None
        records = [dead_letter_record(letter, field_names) for letter in found[:limit]]
        return as_response(json_answer(200, msgspec.json.encode(DeadLetterPage(records, following))))

    @blueprint.get("/dead-letters/<path:entry_id>")
    def get_dead_letter(entry_id: str) -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), ("values",))
        letter = desk.dead_letters.find(known_entry(entry_id))
        if letter is None:
            raise unknown_entry(entry_id)
        record = dead_letter_record(letter, field_names, has_values=flag(query, "values") is True)
        return as_response(json_answer(200, msgspec.json.encode(record)))

    @blueprint.post("/dead-letters/<path:entry_id>/replay")
    def post_replay(entry_id: str) -> Response:
        if not desk.dead_letters.replay(known_entry(entry_id)):
            raise unknown_entry(entry_id)
        return as_response(json_answer(202, msgspec.json.encode(ReplayRecord("replayed", entry_id))))

    @blueprint.delete("/dead-letters/<path:entry_id>")
    def delete_dead_letter(entry_id: str) -> Response:
        if not desk.dead_letters.drop(known_entry(entry_id)):
            raise unknown_entry(entry_id)
        return Response(status=204)

    return blueprint


def dead_letter_record(letter: DeadLetter, field_names: Sequence[str], *, has_values: bool = False) -> DeadLetterRecord:
    """A dead letter as it is answered. `field_names`: the schema's, in file order."""
    content = letter.content(field_names)
    return DeadLetterRecord(
        id=letter.entry_id,
        kind=letter.kind,
        queue=letter.queue,
        accepted_at=letter.accepted_at.isoformat(),
        dead_at=letter.dead_at.isoformat(),
        attempts=letter.attempts,
        failure=letter.failure,
        content=content if has_values else types_of(content),
    )


def known_entry(entry_id: str) -> str:
    """The id, with the tenant it may begin with, if it can be one. Raises UnknownId."""
    known_length(entry_id.replace(SEPARATOR, ""), longest=ENTRY_ID_MAX_LENGTH)
    return entry_id


def unknown_entry(entry_id: str) -> UnknownId:
    """The error for an id that no dead letter has."""
    return UnknownId(f"there is no dead letter {entry_id!r}")
