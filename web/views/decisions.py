"""GET /decisions and /decisions/{id}: the ledger, with what was sent apart from what was derived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast, get_args
from urllib.parse import urlencode

import msgspec
from flask import Blueprint, Response, request

from config.contracts import Action
from config.errors import UnknownId
from config.schema.model import Schema
from web.answer import json_answer
from web.identifiers import known_length
from web.ports.ledger import DecisionFilter, StoredDecision
from web.problems import as_response
from web.query import LAST_CURSOR, flag, moment, number, parse_query, refused, whole
from web.services import Services
from web.shapes.decisions import DecisionPage, DecisionRecord
from web.tenancy import tenant_at

PARAMETERS: Final = (
    "limit", "before", "action", "model_version", "is_fraud", "since", "until", "min_probability", "max_probability",
    "labelled", "entity", "value",
)  # fmt: skip
PAGE_MAX: Final = 500


def decisions_blueprint(services: Services) -> Blueprint:
    """The routes of this module."""
    blueprint = Blueprint("decisions", __name__)

    @blueprint.get("/decisions")
    def get_decisions() -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), PARAMETERS)
        wanted = read_filter(query, services.schema, tenant=tenant_at(request.environ))
        found = services.ledger.list_decisions(wanted)
        page = DecisionPage([decision_record(stored) for stored in found], _next_page(query, wanted, found))
        return as_response(json_answer(200, msgspec.json.encode(page)))

    @blueprint.get("/decisions/<path:decision_id>")
    def get_decision(decision_id: str) -> Response:
        stored = services.ledger.find_decision(known_length(decision_id), tenant=tenant_at(request.environ))
        if stored is None:
            raise UnknownId(f"the ledger has no decision {decision_id!r}")
        return as_response(json_answer(200, msgspec.json.encode(decision_record(stored))))

    return blueprint


def read_filter(query: Mapping[str, str], schema: Schema, *, tenant: str) -> DecisionFilter:
    """The filter that a tenant's query asks for. `schema`: which entities there are. Raises InvalidRequest."""
    action = query.get("action")
    if action is not None and action not in get_args(Action):
        raise refused("action", "not_allowed", f"must be one of {', '.join(get_args(Action))}")
    entity, value = _entity(query, schema)
    before = whole(query, "before", default=0, low=0, high=LAST_CURSOR)
    return DecisionFilter(
        limit=whole(query, "limit", default=50, low=1, high=PAGE_MAX),
        before=before or None,
        action=cast("Action | None", action),
        model_version=query.get("model_version"),
        is_fraud=flag(query, "is_fraud"),
        since=moment(query, "since"),
        until=moment(query, "until"),
        min_probability=_probability(query, "min_probability"),
        max_probability=_probability(query, "max_probability"),
        labelled=flag(query, "labelled"),
        entity=entity,
        value=value,
        tenant=tenant,
    )


def _probability(query: Mapping[str, str], name: str) -> float | None:
    return number(query, name, default=0.0, low=0.0, high=1.0) if name in query else None


def _entity(query: Mapping[str, str], schema: Schema) -> tuple[str | None, str | None]:
    """Both or neither. Raises InvalidRequest."""
    entity, value, known = query.get("entity"), query.get("value"), [name for name, _ in schema.roles.entities]
    if (entity is None) != (value is None):
        raise refused("entity" if entity is None else "value", "required", "entity and value go together")
    if entity is not None and entity not in known:
        raise refused("entity", "not_allowed", f"must be one of {', '.join(known) or 'none: the schema has none'}")
    return entity, value


def decision_record(stored: StoredDecision) -> DecisionRecord:
    """A row of the ledger as it is answered."""
    return DecisionRecord(
        id=stored.id,
        sequence=stored.sequence,
        decision=dict(stored.decision),
        sent=dict(stored.sent),
        derived=dict(stored.derived),
        labels=[dict(label) for label in stored.labels],
        event_at=stored.event_at.isoformat() if stored.event_at else None,
        amount=stored.amount,
        features=dict(stored.features) or None,
        client=stored.client,
    )


def _next_page(query: Mapping[str, str], wanted: DecisionFilter, found: Sequence[StoredDecision]) -> str | None:
    if len(found) < wanted.limit:
        return None
    return f"/decisions?{urlencode({**query, 'before': found[-1].id})}"
