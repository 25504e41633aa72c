"""What the tests of the web side share: a payment, a scoring function, what every problem document must have."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Flask

from config.contracts import Decision, WorkerReport
from config.schema.model import Schema
from config.schema.validate import Validator
from config.settings import Settings
from ml.policy import Policy
from tests.compiled_once import compiled_once
from web.app import create_app
from web.auth.access import Access, make_access
from web.auth.memory_keys import MemoryKeys
from web.identifiers import new_id
from web.limits.store import LimitStore
from web.memory_batches import MemoryBatches, MemoryIdempotency
from web.memory_gateway import MemoryGateway
from web.memory_ledger import MemoryLedger
from web.memory_model_operations import MemoryModelOperations
from web.metrics import WebMetrics
from web.ports.transactions import Transaction

PAYMENT: dict[str, Any] = {
    "amount": 1500.0,
    "hour": 3,
    "day_of_week": 1,
    "merchant_category": "online",
    "previous_amount": 50.0,
    "time_since_last": 0.5,
}
JSON = "application/json"


def decide_by_amount(transaction: Transaction, transaction_id: str, explain: bool) -> Decision:
    """Above 1,000 it is fraud: enough of a model to see decisions differ."""
    probability = 0.9 if transaction.values[0] > 1000 else 0.1
    return Decision(
        decision_id=new_id(),
        transaction_id=transaction_id,
        fraud_probability=probability,
        is_fraud=probability > 0.5,
        risk_score=round(100 * probability),
        risk_level="critical" if probability > 0.5 else "low",
        action="decline" if probability > 0.5 else "approve",
        reasons=[],
        model_version="m1",
        scored_at="2026-03-01T12:00:00Z",
    )


def serving(worker: str, status: str = "serving") -> WorkerReport:
    """The report of a scoring worker with model m1."""
    return WorkerReport(worker, "scoring", "m1", "d" * 64, status, "2026-03-01T12:00:00Z")


def build_app(
    settings: Settings,
    gateway: MemoryGateway,
    schema: Schema,
    validator: Validator,
    *,
    policy: Policy | None = None,
    ledger: MemoryLedger | None = None,
    models: MemoryModelOperations | None = None,
    access: Access | None = None,
    limits: LimitStore | None = None,
) -> Flask:
    """The web side around a gateway in memory."""
    idempotency, metrics = MemoryIdempotency(), WebMetrics()
    with compiled_once():
        return create_app(
            settings,
            gateway=gateway,
            batches=MemoryBatches(idempotency, limit=settings.bulk_batches_per_client),
            idempotency=idempotency,
            ledger=ledger or MemoryLedger(gateway, [field.name for field in schema.fields]),
            models=models or MemoryModelOperations(),
            schema=schema,
            validator=validator,
            access=access or make_access(settings, MemoryKeys(), metrics),
            metrics=metrics,
            policy=policy,
            limits=limits,
        )


def assert_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """The response is a complete problem document with this status and code."""
    assert (response.status_code, response.mimetype) == (status, "application/problem+json"), response.data
    document: dict[str, Any] = msgspec.json.decode(response.data)
    assert document["code"] == code, document
    assert document["status"] == status
    assert document["type"] == f"/problems/{code}"
    assert document["instance"].startswith("urn:uuid:")
    assert document["title"]
    assert document["detail"]
    assert isinstance(document["errors"], list)
    return document
