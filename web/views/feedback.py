"""POST /feedback: what a transaction really was, by id, in the seed's form by its content, or a file of labels."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

import msgspec
from flask import Blueprint, Response, request

from web.answer import Answer, json_answer
from web.auth.actor import actor_of, caller_of
from web.body import read_body, require_json
from web.idempotency import Fingerprint, answer_once, read_key
from web.identifiers import new_id
from web.label_files import LabelFiles, is_label_file
from web.labels import DEFAULT_SOURCE, label_guard, parse_label
from web.ports.labels import Label, LabelOutcome
from web.ports.transactions import TransactionValidator
from web.problems import as_response
from web.query import flag, parse_query
from web.services import Services
from web.shapes.labels import LabelRecord
from web.tenancy import gateway_for, tenant_at


def feedback_blueprint(services: Services) -> Blueprint:
    """The route of this module."""
    blueprint = Blueprint("feedback", __name__)
    label_files = LabelFiles(services)

    @blueprint.post("/feedback")
    def post_feedback() -> Response:
        if is_label_file(request.environ):
            return as_response(label_files(request.environ, caller_of(request)))
        require_json(request.environ)
        with services.bodies:
            body = read_body(request.environ, services.settings.max_body_bytes)
        key, client = read_key(request.environ), caller_of(request)
        fingerprint = Fingerprint(request.environ)
        fingerprint.update(body)
        return as_response(
            answer_once(
                services.idempotency,
                key,
                scope="feedback",
                client=client,
                fingerprint=fingerprint.text(),
                answer=lambda: label_answer(services, body, label_id=_label_id(client, key)),
            )
        )

    return blueprint


def label_answer(services: Services, body: bytes, *, label_id: str) -> Answer:
    """Keep the label and say so. `label_id`: what a label without one of its own is called.

    Raises: MalformedBody, InvalidRequest, InvalidTransaction, CardNumberRefused, UnknownId, BrokerUnavailable.
    """
    actual = flag(parse_query(request.environ.get("QUERY_STRING", ""), {"actual_label"}), "actual_label")
    now = datetime.now(UTC)
    label = (
        parse_label(body, now=now, label_id=label_id, cards=label_guard(services.settings.card_numbers))
        if actual is None
        else label_of_content(services.validator, body, is_fraud=actual, now=now, label_id=label_id)
    )
    label = replace(label, client=actor_of(request.environ, otherwise=""))
    outcome = gateway_for(services.gateway, tenant_at(request.environ)).record_label(label)
    record = msgspec.json.encode(label_record(label, outcome))
    return json_answer(200 if outcome.status == "stored" else 202, record)


def _label_id(client: str, key: str | None) -> str:
    """The same id for the same Idempotency-Key: a label whose answer was never kept is not recorded twice."""
    return new_id() if key is None else sha256(f"{client}\n{key}".encode()).hexdigest()[:32]


def label_of_content(
    validator: TransactionValidator, body: bytes, *, is_fraud: bool, now: datetime, label_id: str
) -> Label:
    """The seed's form: a whole transaction, found again by the digest of its content.

    Raises: MalformedBody, InvalidTransaction.
    """
    transaction = validator.parse(body)
    return Label(
        label_id=label_id,
        is_fraud=is_fraud,
        source=DEFAULT_SOURCE,
        known_at=now,
        transaction_id=transaction.transaction_id,
        digest=transaction.digest,
        values=tuple(transaction.values),
    )


def label_record(label: Label, outcome: LabelOutcome) -> LabelRecord:
    """The label and the decision it was matched to, as it is answered."""
    return LabelRecord(
        status=outcome.status,
        label_id=outcome.label_id,
        matched=outcome.matched,
        transaction_id=outcome.transaction_id,
        decision_id=outcome.decision_id,
        is_fraud=label.is_fraud,
        source=label.source,
        reason_code=label.reason_code,
        known_at=label.known_at.isoformat(),
        amount=label.amount,
    )
