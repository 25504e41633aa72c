"""Three tenants send the same payments to one system: the web side, real Valkey, the workers' code and a ledger."""

from __future__ import annotations

import base64
import json
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask

from config import names
from config.schema.validate import compile_validator
from config.tenants import sent_id, tenant_of
from ml.ledger import DecisionFilter
from tests.bulk_bench import SCHEMA, Bench
from tests.web_app import JSON, assert_problem
from web.app import create_app
from web.auth.access import make_access
from web.auth.memory_keys import MemoryKeys
from web.auth.principal import Principal, remember_principal
from web.gateway import Gateway
from web.ledger_reader import LedgerReader
from web.memory_model_operations import MemoryModelOperations
from web.metrics import WebMetrics
from workers.batches import complete_batches
from workers.bulk import tasks as bulk_tasks
from workers.journal import journal_drain
from workers.label_chunks import record_labels
from workers.labels import record_label
from workers.scoring import score_accepted, score_batch

TENANTS = ("default", "acme", "bolt")
# By the bench's model 4,000 is a probability of 0.4: a review.
PAYMENTS = [{"id": f"t{number}", "account": "a", "amount": 4000 + number} for number in range(3)]
RUN = {
    names.TASK_SCORE_BATCH: score_batch,
    names.TASK_SCORE_ACCEPTED: score_accepted,
    names.TASK_OPEN_BATCH: bulk_tasks.open_batch,
    names.TASK_SCORE_CHUNK: bulk_tasks.score_chunk,
    names.TASK_RECORD_LABEL: record_label,
    names.TASK_RECORD_LABELS: record_labels,
}


@dataclass
class Shared:
    """The web side around a real gateway, with workers that a thread plays while requests wait."""

    bench: Bench
    app: Flask
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self, tenant: str, method: str, path: str, body: Any = None, **sent: Any) -> Any:
        environ: dict[str, Any] = {}
        remember_principal(environ, Principal("shop", tenant, frozenset({"score", "feedback", "read", "review"})))
        if body is not None:
            sent |= {"data": json.dumps(body), "content_type": JSON}
        return self.app.test_client().open(path, method=method, environ_overrides=environ, **sent)

    def predict(self, tenant: str, payment: Any) -> Any:
        """The decision; the first one waits for numba."""
        answer = self.ask(tenant, "POST", "/predict", payment, headers={"Prefer": "wait=30"})
        assert answer.status_code == 200, answer.data
        return answer.json

    def work(self) -> None:
        """Score what comes until `stop`."""
        while not self.stop.is_set():
            self._take([*names.SCORING_QUEUES], wait_s=0.05)

    def settle(self) -> None:
        """Everything on every queue, then both journals into the ledger."""
        while self._take([*names.SCORING_QUEUES, names.QUEUE_BULK, *names.BACKGROUND_QUEUES], wait_s=0.05):
            pass
        for stream in (names.JOURNAL, names.JOURNAL_BULK):
            journal_drain(self.bench.background, stream=stream).run(10)
        complete_batches(self.bench.background)

    def _take(self, queues: list[str], *, wait_s: float) -> bool:
        taken: Any = self.bench.client.brpop(queues, timeout=wait_s)
        if taken is None:
            return False
        message = json.loads(taken[1])
        if (task := message["headers"]["task"]) == names.TASK_DRAIN_JOURNAL:
            return True  # `settle` drains
        RUN[task](json.loads(base64.b64decode(message["body"]))[0][0])
        return True


@pytest.fixture
def shared(bench: Bench) -> Iterator[Shared]:
    reader = LedgerReader(bench.ledger, SCHEMA)
    gateway = Gateway(bench.settings, SCHEMA, reader)
    gateway.start()
    metrics = WebMetrics()
    app = create_app(
        bench.settings,
        gateway=gateway,
        batches=gateway.batches,
        idempotency=gateway.idempotency,
        ledger=reader,
        models=MemoryModelOperations(),
        schema=SCHEMA,
        validator=compile_validator(SCHEMA),
        access=make_access(bench.settings, MemoryKeys(), metrics),
        metrics=metrics,
    )
    shared = Shared(bench, app)
    worker = threading.Thread(target=shared.work)
    worker.start()
    yield shared
    shared.stop.set()
    worker.join(5)
    gateway.close()


def served_counts(shared: Shared, tenant: str) -> dict[str, float]:
    """What each of a tenant's decisions saw of its account: how many payments there were before."""
    stored = shared.bench.ledger.latest_decisions(filters=DecisionFilter(tenant=tenant))
    return {sent_id(one.decision.transaction_id): struct.unpack("<2d", one.features)[1] for one in stored}


def test_tenants_share_the_model_and_nothing_else(shared: Shared) -> None:
    # given: the same three payments from everybody, and a fourth of acme's, by way of the inbox
    answers = {tenant: [shared.predict(tenant, payment) for payment in PAYMENTS] for tenant in TENANTS}
    late = shared.ask("acme", "POST", "/predict", {**PAYMENTS[0], "id": "late"}, headers={"Prefer": "respond-async"})
    assert (late.status_code, late.headers["Location"]) == (202, "/predictions/late")
    shared.stop.set()
    shared.settle()

    # then: the same scores, a decision each, histories that know of nobody else
    for tenant in TENANTS:
        assert [one["transaction_id"] for one in answers[tenant]] == ["t0", "t1", "t2"]
        assert [one["fraud_probability"] for one in answers[tenant]] == [0.4, 0.4001, 0.4002]
    assert len({one["decision_id"] for found in answers.values() for one in found}) == 9
    assert served_counts(shared, "bolt") == served_counts(shared, "default") == {"t0": 0, "t1": 1, "t2": 2}
    assert served_counts(shared, "acme") == {"t0": 0, "t1": 1, "t2": 2, "late": 3}

    # then: each finds its own
    for tenant in TENANTS:
        listed = shared.ask(tenant, "GET", "/decisions?entity=account&value=a").json["decisions"]
        assert len(listed) == shared.ask(tenant, "GET", "/reviews").json["open"] == (4 if tenant == "acme" else 3)
        assert not [one for one in listed if "\x1f" in json.dumps(one)]
    assert shared.ask("acme", "GET", "/predictions/late").status_code == 200
    assert_problem(shared.ask("bolt", "GET", "/predictions/late"), 404, "unknown_id")
    theirs = answers["acme"][0]["decision_id"]
    assert_problem(shared.ask("default", "GET", f"/decisions/{theirs}"), 404, "unknown_id")


def test_a_batch_and_labels_stay_with_their_tenant(shared: Shared) -> None:
    # given: everybody's first payment, then a batch of acme's: that payment, a new one, one without an id, a bad one
    for tenant in TENANTS:
        shared.predict(tenant, PAYMENTS[0])
    shared.stop.set()
    rows = [PAYMENTS[0], PAYMENTS[1], {"account": "a", "amount": 5}, {"id": "bad", "amount": -1}]
    body = "\n".join(json.dumps(row) for row in rows)
    batch = shared.ask("acme", "POST", "/batches", data=body, content_type="application/x-ndjson").json["id"]
    shared.settle()

    # then: its files speak of its ids
    results = [json.loads(line) for line in shared.ask("acme", "GET", f"/batches/{batch}/results").data.splitlines()]
    assert [(one["transaction_id"], one["replayed"]) for one in results] == [
        ("t0", True),
        ("t1", False),
        (f"{batch}-3", False),
    ]
    assert json.loads(shared.ask("acme", "GET", f"/batches/{batch}/errors").data)["transaction_id"] == "bad"
    assert served_counts(shared, "acme") == {"t0": 0, "t1": 1, f"{batch}-3": 2}
    assert_problem(shared.ask("bolt", "GET", f"/batches/{batch}/results"), 404, "unknown_id")
    assert_problem(shared.ask("bolt", "GET", f"/predictions/{batch}-3"), 404, "unknown_id")

    # when: bolt labels its own t0 and, in a file, what is acme's; acme labels under the same label id
    mine, theirs = (
        {"transaction_id": "t0", "is_fraud": True, "label_id": "l"},
        {"transaction_id": "t1", "is_fraud": True},
    )
    assert shared.ask("bolt", "POST", "/feedback", mine).json["label_id"] == "l"
    assert_problem(shared.ask("bolt", "POST", "/feedback", theirs), 404, "unknown_id")
    by_decision = json.dumps({"decision_id": results[1]["decision_id"], "is_fraud": True})
    file = shared.ask("bolt", "POST", "/feedback", data=by_decision, content_type="application/x-ndjson").json
    assert (file["accepted"], file["refused"]) == (0, 1)
    assert shared.ask("acme", "POST", "/feedback", {**mine, "is_fraud": False}).json["label_id"] == "l"
    shared.settle()

    # then: each label is about its tenant's payment, and nobody else's
    found = {tenant: shared.ask(tenant, "GET", "/decisions/t0").json["labels"] for tenant in TENANTS}
    said = {tenant: [(one["label_id"], one["is_fraud"]) for one in labels] for tenant, labels in found.items()}
    assert said == {"default": [], "acme": [("l", False)], "bolt": [("l", True)]}
    assert (
        shared.ask("bolt", "GET", "/decisions?labelled=true").json["decisions"][0]["decision"]["transaction_id"] == "t0"
    )

    # then: in Redis every name with an id of theirs begins with its tenant
    kept = [key.decode().split(":", 2)[2] for key in shared.bench.client.keys(f"{names.KEY_PREFIX}result:*")]
    assert sorted(kept) == ["acme\x1f" + one for one in sorted([f"{batch}-3", "t0", "t1"])] + ["bolt\x1ft0", "t0"]
    assert {tenant_of(one.decision.transaction_id) for one in shared.bench.ledger.latest_decisions()} == set(TENANTS)
