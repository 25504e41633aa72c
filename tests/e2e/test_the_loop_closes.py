"""Fraud changes, labels come in over HTTP, a better model takes over in every worker, while payments flow."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from config import names
from config.schema.load import load_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from ml.simulator import simulate_payments
from tests.e2e.running_stack import RunningStack

pytestmark = pytest.mark.slow

LIMIT_S = 120.0
DAYS = 70.0
MATURED = timedelta(days=8)
PAYMENTS = 16_000
FRAUD_SHARE = 0.06
SEED = 2
THREADS = 2
NDJSON = {"Content-Type": "application/x-ndjson"}


@dataclass(frozen=True)
class Answer:
    """What came back for one payment. Times are of this process's monotonic clock."""

    sent_s: float
    answered_s: float
    status: int
    model_version: str | None


@dataclass
class Traffic:
    """Clients that pay all the time."""

    stack: RunningStack
    answers: list[Answer] = field(default_factory=list)
    _is_over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def flowing(self) -> Iterator[Traffic]:
        threads = [threading.Thread(target=self._pay, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join(LIMIT_S)

    def wait_for(self, payments: int) -> None:
        """Until that many more have been answered."""
        wanted = len(self.answers) + payments
        self.stack.wait_until(lambda: len(self.answers) >= wanted, LIMIT_S)

    def _pay(self, client: int) -> None:
        rng = np.random.default_rng(client)
        while not self._is_over.is_set():
            sent_s = time.monotonic()
            status, body = self.stack.post("/predict", self._payment(rng), {"Prefer": "wait=20"})
            version = body.get("model_version") if status == 200 else None
            self.answers.append(Answer(sent_s, time.monotonic(), status, version))
            time.sleep(0.05)

    def _payment(self, rng: np.random.Generator) -> dict[str, Any]:
        return {
            "transaction_id": f"loop-{uuid.uuid4().hex}",
            "timestamp": datetime.now(UTC).isoformat(),
            "account_id": f"loop-account-{rng.integers(200)}",
            "merchant_id": f"loop-merchant-{rng.integers(20)}",
            "amount": round(float(rng.lognormal(3, 1)), 2),
            "merchant_category": str(rng.choice(["online", "grocery", "fuel"])),
        }


@pytest.fixture(scope="module")
def payments() -> pd.DataFrame:
    """Ten weeks of payments whose labels have arrived, with a kind of fraud that the first model never saw.

    They begin on a Monday at midnight, so that they are the same payments whatever day the test runs on: the gate's
    figures move by the day of the week, and another day was seen to end just below a bound.
    """
    latest = (datetime.now(UTC) - timedelta(days=DAYS) - MATURED).replace(hour=0, minute=0, second=0, microsecond=0)
    start_at = latest - timedelta(days=latest.weekday())
    return simulate_payments(
        load_schema(DEFAULT_SCHEMA),
        PAYMENTS,
        np.random.default_rng(SEED),
        start_at=start_at,
        days=DAYS,
        fraud_share=FRAUD_SHARE,
        drift_day=0,
        id_prefix=f"loop-{uuid.uuid4().hex[:8]}-",
    )


def champion(stack: RunningStack) -> str:
    version: str = stack.get("/health")[1]["champion"]["model_version"]
    return version


def reports(stack: RunningStack) -> list[dict[str, Any]]:
    """The workers that hold a model, as they report."""
    return [one for one in stack.get("/health")[1]["workers"] if one["role"] in names.ROLES_WITH_A_MODEL]


def serves_everywhere(stack: RunningStack, version: str) -> bool:
    held = reports(stack)
    return len(held) == 3 and {(one["model_version"], one["status"]) for one in held} == {(version, "serving")}


def send_as_batch(stack: RunningStack, frame: pd.DataFrame) -> None:
    rows = frame.drop(columns=["is_fraud", "known_at"])
    rows = rows.assign(timestamp=[at.isoformat() for at in frame["timestamp"]])
    status, batch = stack.request("POST", "/batches", rows.to_json(orient="records", lines=True).encode(), NDJSON)
    assert status in (200, 201, 202), batch
    where = f"/batches/{batch['id']}"
    stack.wait_until(lambda: stack.get(where)[1]["status"] == "completed", LIMIT_S)


def send_labels(stack: RunningStack, frame: pd.DataFrame) -> None:
    labels = [
        {"transaction_id": name, "is_fraud": bool(is_fraud), "source": "chargeback", "known_at": known_at.isoformat()}
        for name, is_fraud, known_at in zip(
            frame["transaction_id"], frame["is_fraud"], frame["timestamp"] + timedelta(days=2), strict=True
        )
    ]
    body = "\n".join(json.dumps(one) for one in labels).encode()
    status, answer = stack.request("POST", "/feedback", body, NDJSON)
    assert (status, answer["accepted"]) == (202, len(labels)), answer
    stack.wait_until(lambda: "\ntollgate_inbox_entries 0.0\n" in stack.get("/prometheus")[1].decode(), LIMIT_S)


def ask(stack: RunningStack, method: str, path: str) -> dict[str, Any]:
    """What came of an operator's request. A 503 accepted nothing and is asked again; anything else must be a 200."""
    answers: list[tuple[int, Any]] = []

    def is_answered() -> bool:
        answers.append(stack.request(method, path))
        return answers[-1][0] != 503

    stack.wait_until(is_answered, LIMIT_S)
    status, body = answers[-1]
    assert status == 200, answers
    found: dict[str, Any] = body
    return found


def retrained(stack: RunningStack) -> dict[str, Any]:
    status, job = stack.post("/retrain", None)
    assert status == 202, job
    stack.wait_until(lambda: stack.get("/retrain")[1]["status"] == "idle", LIMIT_S)
    latest: dict[str, Any] = stack.get("/retrain")[1]["latest"]
    assert latest["job_id"] == job["job_id"]
    return latest


def test_labels_come_in_and_a_better_model_takes_over_in_every_worker_without_an_error(
    stack: RunningStack, payments: pd.DataFrame
) -> None:
    first = champion(stack)
    send_as_batch(stack, payments)
    send_labels(stack, payments)

    with Traffic(stack).flowing() as traffic:
        traffic.wait_for(20)
        job = retrained(stack)
        assert (job["status"], job["outcome"]) == ("done", "promote"), job
        second = job["model_version"]
        stack.wait_until(lambda: serves_everywhere(stack, second), 10)
        swapped_s = time.monotonic()
        traffic.wait_for(40)

        reloaded = ask(stack, "POST", "/reload-model?timeout_s=9")
        assert reloaded["agreed"] is True, reloaded
        assert {one["model_version"] for one in reloaded["workers"]} == {second}

        assert ask(stack, "POST", f"/models/{first}/canary?share=0.5")["share"] == 0.5
        stack.wait_until(lambda: {one["challenger"] for one in reports(stack)} == {f"{first} canary"}, 10)
        canary_s = time.monotonic()
        traffic.wait_for(60)
        ended_s = time.monotonic()
        ask(stack, "DELETE", "/models/challenger")
        stack.wait_until(lambda: {one["challenger"] for one in reports(stack)} == {""}, 10)
        quiet_s = time.monotonic()
        traffic.wait_for(20)

        rolled_back_s = time.monotonic()
        assert ask(stack, "POST", "/models/rollback")["model_version"] == first
        stack.wait_until(lambda: serves_everywhere(stack, first), 10)
        back_s = time.monotonic()
        traffic.wait_for(20)

    def versions(after_s: float, until_s: float) -> set[str | None]:
        return {one.model_version for one in traffic.answers if after_s <= one.sent_s and one.answered_s <= until_s}

    assert [one for one in traffic.answers if one.status != 200] == []
    assert {one.model_version for one in traffic.answers} == {first, second}
    assert versions(canary_s, ended_s) == {first, second}
    assert versions(quiet_s, rolled_back_s) == {second}
    assert versions(back_s, np.inf) == {first}
    assert len([one for one in traffic.answers if one.model_version == second and one.sent_s >= swapped_s]) >= 40
    told = [(one["action"], one["to_version"]) for one in stack.get("/models")[1]["events"][:4]]
    assert told == [("rolled_back", first), ("canary_ended", first), ("canary_started", first), ("promoted", second)]
