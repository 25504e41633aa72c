"""One payment through the running stack, as its users send it: the door, the queue, a worker, the ledger."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from redis import Redis

from config import names
from tests.e2e.running_stack import RunningStack

pytestmark = pytest.mark.slow

LIMIT_S = 60.0
PAYMENT: dict[str, Any] = {
    "amount": 1500.0,
    "hour": 3,
    "day_of_week": 1,
    "merchant_category": "online",
    "previous_amount": 50.0,
    "time_since_last": 0.5,
}
PREDICT_CURL = """curl -X POST "http://localhost:8000/predict" -H "Content-Type: application/json" -d '{"amount": 1500.0, "hour": 3, "day_of_week": 1, "merchant_category": "online", "previous_amount": 50.0, "time_since_last": 0.5}'"""  # noqa: E501
FEEDBACK_CURL = """curl -X POST "http://localhost:8000/feedback?actual_label=false" -H "Content-Type: application/json" -d '{"amount": 1500.0, "hour": 3, "day_of_week": 1, "merchant_category": "online", "previous_amount": 50.0, "time_since_last": 0.5}'"""  # noqa: E501
DECISION_FIELDS = {
    "decision_id",
    "transaction_id",
    "fraud_probability",
    "is_fraud",
    "risk_score",
    "risk_level",
    "action",
    "reasons",
    "model_version",
    "scored_at",
    "degraded",
}


@pytest.fixture(autouse=True)
def ready(stack: RunningStack) -> None:
    stack.wait_until(lambda: stack.get("/health")[0] == 200, LIMIT_S)


def new_id() -> str:
    return f"e2e-{uuid.uuid4().hex}"


def curl(command: str, stack: RunningStack) -> Any:
    here = command.replace("localhost:8000", f"localhost:{stack.ports['PORT']}")
    done = subprocess.run(["bash", "-c", here], capture_output=True, text=True, check=True, timeout=30)
    return json.loads(done.stdout)


def raw(stack: RunningStack, body: bytes, content_type: str = "application/json") -> tuple[int, Any]:
    return stack.request("POST", "/predict", body, {"Content-Type": content_type})


def test_the_two_curl_examples_work_as_printed(stack: RunningStack) -> None:
    decision = curl(PREDICT_CURL, stack)
    label = curl(FEEDBACK_CURL, stack)

    assert set(decision) == DECISION_FIELDS
    assert 0 <= decision["fraud_probability"] <= 1
    assert decision["action"] in ("review", "decline"), "30 times the last amount, online, at night, at once"
    assert {"code", "feature", "direction", "impact", "message"} == set(decision["reasons"][0])
    assert label["matched"] is True


def test_a_plain_payment_is_approved_without_reasons_unless_asked(stack: RunningStack) -> None:
    plain = PAYMENT | {"amount": 24.0, "hour": 14, "merchant_category": "grocery", "time_since_last": 20.0}
    status, decision = stack.post("/predict", plain)
    _, explained = stack.post("/predict?explain=true", plain)

    assert (status, decision["action"], decision["reasons"]) == (200, "approve", [])
    assert explained["reasons"]


def test_the_same_id_gives_the_first_decision_and_other_content_a_conflict(stack: RunningStack) -> None:
    mine = PAYMENT | {"transaction_id": new_id()}
    _, first = stack.post("/predict", mine)
    _, again = stack.post("/predict", mine)
    status, problem = stack.post("/predict", mine | {"amount": 1.0})

    assert again == first
    assert (status, problem["code"]) == (409, "transaction_conflict")


def test_respond_async_is_accepted_and_polled(stack: RunningStack) -> None:
    transaction_id = new_id()
    status, pending = stack.post("/predict", PAYMENT | {"transaction_id": transaction_id}, {"Prefer": "respond-async"})
    assert (status, pending["status"]) == (202, "pending")

    stack.wait_until(lambda: stack.get(pending["location"])[0] == 200, LIMIT_S)

    assert stack.get(f"/predictions/{transaction_id}")[1]["transaction_id"] == transaction_id


def test_an_account_history_builds_up_and_what_was_sent_is_kept_apart(stack: RunningStack) -> None:
    account = new_id()
    raw_form = {"merchant_category": "grocery", "account_id": account, "merchant_id": "m-1"}
    times = ("2026-03-03T10:00:00Z", "2026-03-03T12:30:00Z")
    for amount, at in zip((40.0, 60.0), times, strict=True):
        status, decision = stack.post("/predict", raw_form | {"amount": amount, "timestamp": at})
        assert status == 200
    path = f"/decisions/{decision['decision_id']}"
    stack.wait_until(lambda: stack.get(path)[0] == 200, LIMIT_S)

    _, stored = stack.get(path)

    assert stored["sent"]["amount"] == 60.0
    assert "hour" not in {name for name, value in stored["sent"].items() if value is not None}
    assert stored["derived"]["hour"] == 12
    assert stored["derived"]["previous_amount"] == 40.0
    assert stored["derived"]["time_since_last"] == 2.5
    assert stored["derived"]["account_count_24h"] == 1


def test_a_label_reaches_the_ledger_beside_its_decision(stack: RunningStack) -> None:
    _, decision = stack.post("/predict", PAYMENT | {"transaction_id": new_id()})
    status, _ = stack.post(
        "/feedback", {"decision_id": decision["decision_id"], "is_fraud": True, "source": "chargeback"}
    )
    assert status in (200, 202)
    path = f"/decisions/{decision['decision_id']}"

    stack.wait_until(lambda: bool((stack.get(path)[1] or {}).get("labels")), LIMIT_S)

    assert stack.get(path)[1]["labels"][0]["is_fraud"] is True


def test_feedback_about_nothing_known_is_not_found(stack: RunningStack) -> None:
    status, problem = stack.post("/feedback", {"transaction_id": new_id(), "is_fraud": True})

    assert (status, problem["code"]) == (404, "unknown_id")


def test_reload_is_answered_by_every_scoring_worker(stack: RunningStack) -> None:
    status, report = stack.post("/reload-model", {})

    assert status == 200, report
    assert report["agreed"] is True
    assert len(report["workers"]) >= 2
    assert {"worker", "model_version", "digest", "status", "loaded_at"} <= set(report["workers"][0])


@pytest.mark.parametrize("path", ["/metrics", "/prometheus", "/openapi.json", "/docs", "/health/live", "/health/ready"])
def test_every_page_answers(stack: RunningStack, path: str) -> None:
    assert stack.get(path)[0] == 200


def test_what_workers_counted_is_scraped(stack: RunningStack) -> None:
    stack.post("/predict", PAYMENT)

    text = stack.get("/prometheus")[1].decode()

    assert "tollgate_decisions_total" in text
    assert "tollgate_worker_stage_latency_seconds_bucket" in text


BAD_BODIES = {
    "wrong type": (b'{"amount": "12", "hour": 3}', "wrong_type"),
    "a boolean is no number": (json.dumps(PAYMENT | {"amount": True}).encode(), "wrong_type"),
    "missing field": (json.dumps({k: v for k, v in PAYMENT.items() if k != "amount"}).encode(), "missing"),
    "unknown field": (json.dumps(PAYMENT | {"amuont": 1}).encode(), "unknown_field"),
    "not a number": (json.dumps(PAYMENT | {"amount": float("nan")}).encode(), "not_finite"),
    "infinite": (json.dumps(PAYMENT | {"amount": float("inf")}).encode(), "not_finite"),
    "out of bounds": (json.dumps(PAYMENT | {"hour": 24}).encode(), "out_of_bounds"),
    "too long": (json.dumps(PAYMENT | {"merchant_category": "x" * 65}).encode(), "too_long"),
    "duplicate key": (b'{"amount": 1, "amount": 2}', "duplicate_key"),
}


@pytest.mark.parametrize("what", BAD_BODIES)
def test_bad_values_are_named_by_field(stack: RunningStack, what: str) -> None:
    body, code = BAD_BODIES[what]
    status, problem = raw(stack, body)

    assert status == 422
    assert code in {error["code"] for error in problem["errors"]}
    assert all(error["pointer"].startswith("/") for error in problem["errors"])


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100 + b"]" * 100, b"[]", b"null", b'{"a": 1} x'])
def test_bodies_that_cannot_be_read_are_problems(stack: RunningStack, body: bytes) -> None:
    status, problem = raw(stack, body)

    assert status == 422
    assert problem["code"] in ("malformed_body", "invalid_transaction")


def test_a_wrong_content_type_is_415_and_a_huge_body_413(stack: RunningStack) -> None:
    assert raw(stack, b"{}", "text/plain")[1]["code"] == "unsupported_media_type"
    assert raw(stack, b" " * 2_000_000)[1]["code"] == "body_too_large"


def test_a_category_never_seen_is_scored_as_unknown(stack: RunningStack) -> None:
    assert stack.post("/predict", PAYMENT | {"merchant_category": "space elevator"})[0] == 200


@contextmanager
def no_workers(stack: RunningStack) -> Iterator[None]:
    """Scoring workers are stopped in place (they still hold their connections) and go on afterwards."""
    stopped = [pid for pid in (stack.pid("scoring-1"), stack.pid("scoring-2")) if pid is not None]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            with suppress(ProcessLookupError):  # the watchdog was quicker, and a new worker is there
                os.kill(pid, signal.SIGCONT)


def test_without_a_worker_a_payment_is_accepted_and_decided_later(stack: RunningStack) -> None:
    with no_workers(stack):
        status, pending = stack.post("/predict", PAYMENT | {"transaction_id": new_id()}, {"Prefer": "wait=1"})

    assert (status, pending["status"]) == (202, "pending")
    stack.wait_until(lambda: stack.get(pending["location"])[0] == 200, LIMIT_S)


def test_without_mlflow_scoring_goes_on(stack: RunningStack) -> None:
    pid = stack.pid("mlflow")
    if pid is not None:
        os.kill(pid, signal.SIGKILL)

    assert stack.post("/predict", PAYMENT)[0] == 200


def test_without_a_broker_the_answer_is_503_and_scoring_returns_with_it(stack: RunningStack) -> None:
    pid = stack.pid("valkey")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        stack.wait_until(lambda: stack.post("/predict", PAYMENT)[0] == 503, LIMIT_S)
        status, problem = stack.post("/predict", PAYMENT)
    finally:
        os.kill(pid, signal.SIGCONT)

    assert (status, problem["code"]) == (503, "broker_unavailable")
    stack.wait_until(lambda: stack.post("/predict", PAYMENT)[0] == 200, LIMIT_S)


def test_every_accepted_transaction_has_exactly_one_decision_after_a_worker_is_killed(stack: RunningStack) -> None:
    ids = [new_id() for _ in range(60)]
    for number, transaction_id in enumerate(ids):
        status, _ = stack.post("/predict", PAYMENT | {"transaction_id": transaction_id}, {"Prefer": "respond-async"})
        assert status == 202
        if number == 30 and (pid := stack.pid("scoring-1")) is not None:
            os.kill(pid, signal.SIGKILL)

    stack.wait_until(lambda: all(stack.get(f"/predictions/{one}")[0] == 200 for one in ids), 120)

    stack.wait_until(lambda: _journal_length(stack) == 0, LIMIT_S)
    stored = [stack.get(f"/decisions/{one}")[1]["decision"]["transaction_id"] for one in ids]
    assert stored == ids


def _journal_length(stack: RunningStack) -> int:
    with Redis.from_url(stack.redis_url) as client:
        return int(client.xlen("tollgate:journal"))


def test_celerys_own_metrics_are_exported_or_the_launcher_says_why_not(stack: RunningStack) -> None:
    stack.wait_until(
        lambda: exporter(stack)["fate"] == "unavailable" or "celery_worker_up" in celery_metrics(stack), 240
    )

    if exporter(stack)["fate"] == "unavailable":
        assert "celery-exporter" in stack.output()
        pytest.skip("the celery-exporter cannot be had on this machine: its log says why")
    for queue in names.QUEUES:
        assert f'queue_name="{queue}"' in celery_metrics(stack)


def exporter(stack: RunningStack) -> Any:
    return next(
        (one for one in stack.state()["processes"] if one["name"] == "celery-exporter"), {"fate": "not started"}
    )


def celery_metrics(stack: RunningStack) -> str:
    """What the celery-exporter says; empty while it is being installed or starts."""
    url = f"http://127.0.0.1:{stack.ports['EXPORTER_PORT']}/metrics"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            text: str = answer.read().decode()
    except OSError:
        return ""
    return text
