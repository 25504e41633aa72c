"""/console/decisions: the ledger to search, and one decision with everything that is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from flask import Blueprint, Response, redirect, request
from werkzeug import Response as AnyResponse

from config.errors import UnknownId
from config.queue.replays import ReplayRequest
from config.schema.model import Schema
from web.console.page import data, page
from web.identifiers import known_length
from web.ports.ledger import StoredDecision
from web.query import parse_query
from web.services import Services
from web.tenancy import tenant_at
from web.views.decisions import PARAMETERS, read_filter

HERE: Final = "decisions"
PAGE_ROWS: Final = 50
HISTORY_ROWS: Final = 20
_TIMES: Final = ("since", "until")


def decision_pages(services: Services) -> Blueprint:
    """The routes of this module."""
    blueprint = Blueprint("decisions", __name__)

    @blueprint.get("/decisions")
    def get_decisions() -> AnyResponse:
        query = _given(parse_query(request.environ.get("QUERY_STRING", ""), (*PARAMETERS, "q")))
        sought = query.pop("q", "").strip()
        place = _find(services, sought, tenant_at(request.environ)) if sought else None
        return redirect(place, 303) if place is not None else _list(services, query, sought)

    @blueprint.get("/decisions/<path:decision_id>")
    def get_decision(decision_id: str) -> Response:
        replay_id = parse_query(request.environ.get("QUERY_STRING", ""), {"replay"}).get("replay")
        return _one(services, _known(services, decision_id), replay_id)

    @blueprint.post("/decisions/<path:decision_id>/replay")
    def post_replay(decision_id: str) -> AnyResponse:
        decision_id = _known(services, decision_id).decision["decision_id"]
        asked = services.gateway.replays.ask(decision_id)
        return redirect(f"/console/decisions/{decision_id}?replay={asked.replay_id}#replay", 303)

    @blueprint.get("/replays/<replay_id>")
    def get_replay(replay_id: str) -> Response:
        return data(_known_replay(services, replay_id))

    return blueprint


def _list(services: Services, query: dict[str, str], sought: str) -> Response:
    """A page of decisions; an empty one where something was sought and not found."""
    wanted = read_filter(_in_utc(query), services.schema, tenant=tenant_at(request.environ))
    found = [] if sought else services.ledger.list_decisions(replace(wanted, limit=PAGE_ROWS))
    entities = services.schema.roles.entities
    return page(
        "decisions.html",
        here=HERE,
        query=query,
        sought=sought,
        entities=[name for name, _ in entities],
        fields=[field for _, field in entities],
        found=found,
        older=_older(query, found),
    )


def _one(services: Services, stored: StoredDecision, replay_id: str | None) -> Response:
    """The page of a decision, with what came of a replay where one was asked for."""
    about, tenant = entities_of(services.schema, stored), tenant_at(request.environ)
    return page(
        "decision.html",
        here=HERE,
        stored=stored,
        reasons=reason_bars(stored),
        about=about,
        history=services.ledger.history_of(*about[0], limit=HISTORY_ROWS, tenant=tenant) if about else [],
        replay=_replay_of(services, stored, replay_id) if replay_id else None,
        fields=services.schema.by_name,
    )


def reason_bars(stored: StoredDecision) -> list[dict[str, Any]]:
    """The reasons, each with `low` and `width` of its bar: percent of a line whose middle is no impact."""
    reasons = stored.decision["reasons"]
    largest = max((abs(reason["impact"]) for reason in reasons), default=0.0) or 1.0
    widths = [50 * abs(reason["impact"]) / largest for reason in reasons]
    return [
        {**reason, "width": width, "low": 50 - width if reason["impact"] < 0 else 50}
        for reason, width in zip(reasons, widths, strict=True)
    ]


def entities_of(schema: Schema, stored: StoredDecision) -> list[tuple[str, str]]:
    """The entities that the transaction names: (account, its id) and so on, in the schema's order."""
    fields = schema.roles.entities
    return [(entity, str(stored.sent[field])) for entity, field in fields if stored.sent.get(field) is not None]


def _given(query: Mapping[str, str]) -> dict[str, str]:
    """A form sends its empty fields too."""
    return {name: value for name, value in query.items() if value}


def _in_utc(query: Mapping[str, str]) -> dict[str, str]:
    """A form's times have no zone; the console speaks UTC."""
    return {name: f"{value}Z" if name in _TIMES and _is_naive(value) else value for name, value in query.items()}


def _is_naive(value: str) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is None
    except ValueError:
        # `read_filter` refuses it by name.
        return False


def _known(services: Services, decision_id: str) -> StoredDecision:
    """A decision of whoever asks. Raises UnknownId."""
    stored = services.ledger.find_decision(known_length(decision_id), tenant=tenant_at(request.environ))
    if stored is None:
        raise UnknownId(f"the ledger has no decision {decision_id!r}; a new one arrives there within a second or two")
    return stored


def _known_replay(services: Services, replay_id: str) -> ReplayRequest:
    """A replay of whoever asks: its id does not say whose it is, its decision does. Raises UnknownId."""
    asked = services.gateway.replays.find(known_length(replay_id))
    tenant = tenant_at(request.environ)
    if asked is None or services.ledger.find_decision(asked.decision_id, tenant=tenant) is None:
        raise UnknownId("no replay is known by this id; what came of one is kept for an hour")
    return asked


def _find(services: Services, sought: str, tenant: str) -> str | None:
    """Where what was sought is: a decision, or an account (card, merchant) with decisions."""
    stored = services.ledger.find_decision(sought, tenant=tenant)
    if stored is not None:
        return f"/console/decisions/{stored.decision['decision_id']}"
    for entity, _ in services.schema.roles.entities:
        if services.ledger.history_of(entity, sought, limit=1, tenant=tenant):
            return f"/console/decisions?{urlencode({'entity': entity, 'value': sought})}"
    return None


def _older(query: Mapping[str, str], found: Any) -> str | None:
    if len(found) < PAGE_ROWS:
        return None
    return f"/console/decisions?{urlencode({**query, 'before': found[-1].id})}"


def _replay_of(services: Services, stored: StoredDecision, replay_id: str) -> ReplayRequest | None:
    """The replay of this very decision with this id."""
    asked = services.gateway.replays.find(replay_id)
    return asked if asked is not None and asked.decision_id == stored.decision["decision_id"] else None
