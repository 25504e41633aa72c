"""GET and POST /keys, DELETE /keys/{key_id}, POST /keys/{key_id}/rotate: API keys, for administrators."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from flask import Blueprint, Response, request

from config.api_keys import PREFIX
from config.card_numbers import find_cards
from config.errors import CardNumberRefused, InvalidRequest
from config.schema.body import read_pairs
from ml.ledger.key_book import StoredKey
from web.answer import json_answer
from web.auth.actor import actor_of
from web.auth.key_desk import LONGEST_OVERLAP, USUAL_OVERLAP, Issued, KeyWish, read_scopes
from web.body import read_body, require_json
from web.identifiers import known_length
from web.problems import as_response
from web.query import number, parse_query
from web.services import Services
from web.shapes.keys import ApiKeyEvent, ApiKeyIssued, ApiKeyList, ApiKeyRecord, ApiKeyRequest

_UNKEPT: Final = ("Cache-Control", "no-store")


def keys_blueprint(services: Services) -> Blueprint:
    """The routes of this module."""
    blueprint = Blueprint("keys", __name__)
    access, limit_bytes = services.access, services.settings.max_body_bytes

    @blueprint.get("/keys")
    def get_keys() -> Response:
        parse_query(request.environ.get("QUERY_STRING", ""), ())
        listed = ApiKeyList(
            [key_record(key) for key in access.desk.all()],
            [ApiKeyEvent(one.at.isoformat(), one.actor, one.action, one.reasons) for one in access.desk.history()],
        )
        return as_response(json_answer(200, msgspec.json.encode(listed), _UNKEPT))

    @blueprint.post("/keys")
    def post_key() -> Response:
        require_json(request.environ)
        wish = read_wish(read_body(request.environ, limit_bytes))
        issued = access.desk.create(wish, actor=actor_of(request.environ), now=datetime.now(UTC))
        return _issued(issued)

    @blueprint.delete("/keys/<key_id>")
    def delete_key(key_id: str) -> Response:
        access.desk.revoke(known_length(key_id), actor=actor_of(request.environ), now=datetime.now(UTC))
        access.refresh()
        return Response(status=204)

    @blueprint.post("/keys/<key_id>/rotate")
    def post_rotate(key_id: str) -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), {"overlap_s"})
        usual_s, longest_s = USUAL_OVERLAP.total_seconds(), LONGEST_OVERLAP.total_seconds()
        overlap = timedelta(seconds=number(query, "overlap_s", default=usual_s, low=0.0, high=longest_s))
        actor, now = actor_of(request.environ), datetime.now(UTC)
        return _issued(access.desk.rotate(known_length(key_id), overlap=overlap, actor=actor, now=now))

    def _issued(issued: Issued) -> Response:
        access.refresh()  # other processes know within TOLLGATE_AUTH_REFRESH_S, this one at once
        answer = ApiKeyIssued(api_key=issued.text, key=key_record(issued.key))
        return as_response(json_answer(201, msgspec.json.encode(answer), _UNKEPT))

    return blueprint


def read_wish(body: bytes) -> KeyWish:
    """What a body asks for. Raises MalformedBody, InvalidRequest, CardNumberRefused."""
    try:
        asked = msgspec.convert(dict(read_pairs(body)), type=ApiKeyRequest)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"the body is not what POST /keys reads: {error}") from error
    if find_cards(asked.name):
        raise CardNumberRefused("the name holds a card number; nothing of this was kept")
    lifetime = timedelta(seconds=asked.expires_in_s) if asked.expires_in_s is not None else None
    return KeyWish(asked.name, read_scopes(asked.scopes), asked.tenant, lifetime)


def key_record(key: StoredKey) -> ApiKeyRecord:
    """A key as it is shown: everything but its digest."""
    return ApiKeyRecord(
        key_id=key.key_id,
        prefix=f"{PREFIX}{key.key_id}",
        kind=key.kind,
        name=key.name,
        tenant=key.tenant,
        scopes=key.scopes,
        created_at=key.created_at.isoformat(),
        created_by=key.created_by,
        expires_at=key.expires_at.isoformat() if key.expires_at else None,
        revoked_at=key.revoked_at.isoformat() if key.revoked_at else None,
        replaced_by=key.replaced_by,
    )
