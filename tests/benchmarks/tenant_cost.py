"""What keeping tenants apart costs: a payment at the front door, and a row of a batch on its way through the workers.

python -m tests.benchmarks.tenant_cost
"""

from __future__ import annotations

import io
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

from config.contracts import JournalEntry, JournalRecord
from config.queue.batches import BatchRecord
from config.schema.load import load_schema
from config.schema.validate import compile_validator
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from config.tenants import DEFAULT_TENANT, prefix_for
from ml.features.spec import FeatureSpec
from ml.ledger.rows import decision_row, entity_rows
from tests.benchmarks.front_door import BODY, environ
from tests.web_app import PAYMENT, build_app, decide_by_amount
from web.auth.principal import SCOPES, Principal, remember_principal
from web.memory_gateway import MemoryGateway
from web.ports.transactions import Outcome
from web.views.predict import Predict
from workers.bulk import chunk
from workers.bulk.report import _result
from workers.bulk.rows import Row
from workers.store import _add_row

ROUNDS, CALLS = 15, 4000
SCHEMA = load_schema(DEFAULT_SCHEMA)
SPEC = FeatureSpec.from_schema(SCHEMA)
VALIDATOR = compile_validator(SCHEMA)
DECISION = b'{"decision_id":"d","transaction_id":"%b"}'
SENT = {**PAYMENT, "transaction_id": "tx-000017", "account_id": "acc-1042", "merchant_id": "m-7"}


class Ready(MemoryGateway):
    """Has the decision ready, so that only the way to it and from it is measured."""

    def score(self, transaction: Any, *, transaction_id: str, wait_ms: int, explain: bool) -> Outcome:
        del transaction, wait_ms, explain
        return Outcome("decided", transaction_id, DECISION % transaction_id.encode())


def predicting(tenant: str) -> Callable[[], object]:
    """POST /predict but for the queue."""
    predict = Predict(build_app(Settings(), Ready(decide_by_amount), SCHEMA, VALIDATOR).extensions["tollgate"])
    principal = Principal("shop", tenant, frozenset(SCOPES))

    def answer() -> object:
        request = environ()
        request["wsgi.input"] = io.BytesIO(BODY)
        remember_principal(request, principal)
        return predict(request)

    return answer


def row_of_a_batch(tenant: str) -> Callable[[], object]:
    """What the bulk worker and the ledger do per row that has a tenant in it: ids, keys, rows of tables, the result."""
    prefix = prefix_for(tenant)
    batch = BatchRecord("b" * 32, f"{prefix}10.0.0.1", "in_progress", "ndjson", False, 1, 1_772_366_400_000)
    transaction = VALIDATOR.validate(SENT)
    row = Row(1, 1, transaction)
    positions = {"account": 7, "merchant": 8}
    decision = msgspec.structs.replace(
        decide_by_amount(transaction, f"{prefix}tx-000017", False),
        decision_id="d" * 32,
    )
    record = JournalRecord(1, "0" * 16, "s" * 64, 1_772_366_400_000, 1.7e9, 1.0, transaction.values, {})
    entry = JournalEntry(decision, record, b"")
    outcome = chunk.Outcome(row, msgspec.json.encode(decision))

    def one() -> object:
        scored = chunk.score_row(batch, row)
        _add_row([], [], scored, SPEC, 1.7e9)
        return decision_row(entry), entity_rows(entry, positions), _result(outcome, prefix)

    return one


def us_per_call(call: Callable[[], object]) -> float:
    """The median over rounds of the mean processor time."""
    rounds = []
    for _ in range(ROUNDS):
        started_at = time.process_time()
        for _ in range(CALLS):
            call()
        rounds.append((time.process_time() - started_at) / CALLS * 1e6)
    return statistics.median(rounds)


def main() -> None:
    """Print a Markdown table."""
    print("| part | default tenant | another tenant |\n|---|---|---|", file=sys.stdout)  # noqa: T201 (for people)
    parts = {"POST /predict, without the queue": predicting, "a row of a batch, its ids": row_of_a_batch}
    for name, make in parts.items():
        default, other = (us_per_call(make(tenant)) for tenant in (DEFAULT_TENANT, "acme"))
        print(f"| {name} | {default:.1f} us | {other:.1f} us |")  # noqa: T201


if __name__ == "__main__":
    main()
