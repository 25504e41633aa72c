"""The degradation contract (docs/degradation.md), line by line, on a real broker through the whole web side.

No worker runs unless a test plays one, by the scripts that workers use.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from config import names
from config.contracts import ScoreBatch
from config.queue.results import shrink_results
from config.schema.validate import compile_validator
from config.settings import Settings
from ml.ledger import Ledger
from ml.policy import load_policy
from tests.integration.test_gateway import SCHEMA, SEED, take_batch
from tests.integration.test_idempotency import SPEC, drain, finished_row
from tests.servers import RunningValkey, running_valkey
from tests.unit.web.test_web_metrics import samples, value
from tests.web_app import assert_problem
from web.app import create_app
from web.auth.access import make_access
from web.gateway import Gateway
from web.ledger_reader import LedgerReader
from web.memory_model_operations import MemoryModelOperations
from web.metrics import WebMetrics
from workers.store import Finished, TransactionStore

POLICY = """
[degradation]
late = "poll"
[degradation.clients]
checkout = "rules"
careful = "refuse"
[rules]
review_amount = 500.0
decline_amount = 5000.0
[block]
merchant_category = ["casino"]
[allow]
merchant_category = ["charity"]
"""
NO_HANG_S = 30


class WebSide:
    """One web process: real gateway, real ledger file, the policy above."""

    def __init__(self, redis_url: str, directory: Path, **changes: Any) -> None:
        policy_file = directory / "policy.toml"
        policy_file.write_text(POLICY, encoding="utf-8")
        self.settings = Settings(
            redis_url=redis_url,
            policy_file=policy_file,
            data_dir=directory,
            broker_timeout_s=0.3,
            breaker_reset_s=0.2,
            **({"sync_timeout_ms": 100} | changes),
        )
        self.ledger = Ledger(f"sqlite:///{directory / 'ledger.db'}", schema=SCHEMA)
        self.ledger.migrate()
        self.reader = LedgerReader(self.ledger, SCHEMA)
        self.gateway = Gateway(self.settings, SCHEMA, self.reader)
        metrics = WebMetrics()
        app = create_app(
            self.settings,
            gateway=self.gateway,
            batches=self.gateway.batches,
            idempotency=self.gateway.idempotency,
            ledger=self.reader,
            models=MemoryModelOperations(),
            schema=SCHEMA,
            validator=compile_validator(SCHEMA),
            access=make_access(self.settings, self.ledger.keys, metrics),
            metrics=metrics,
            policy=load_policy(policy_file, SCHEMA),
        )
        self.client: FlaskClient = app.test_client()
        self.gateway.start()

    def close(self) -> None:
        self.gateway.close()
        self.ledger.close()

    def pay(self, number: int = 1, *, client: str = "", prefer: str = "", **changes: Any) -> TestResponse:
        """POST /predict as one client, with the id `t<number>`."""
        headers = {"Tollgate-Client": client} | ({"Prefer": prefer} if prefer else {})
        body = {**SEED, "transaction_id": f"t{number}", **changes}
        return self.client.post("/predict", json=body, headers=headers)

    def counted(self, name: str, **labels: str) -> float:
        return value(samples(self.client.get("/prometheus").text), name, **labels)


@pytest.fixture
def open_web(redis_url: str, tmp_path: Path) -> Iterator[Callable[..., WebSide]]:
    """Opens web processes with settings of the test's choice, and closes them."""
    with ExitStack() as opened:

        def build(**changes: Any) -> WebSide:
            web = WebSide(redis_url, tmp_path, **changes)
            opened.callback(web.close)
            return web

        yield build


def answer(client: Redis, settings: Settings, batch: ScoreBatch) -> None:
    """What a worker does with a batch: score what `observe` lets through, commit, reply."""
    store = TransactionStore(client, settings)
    finished = [
        finished_row(item.row) if item.status == "S" else Finished(item.row, item.status, item.decision)
        for item in store.observe(batch.rows, SPEC)
    ]
    store.commit(finished, reply_to=batch.reply_to, batch_id=batch.batch_id)


def test_no_worker_poll_is_durable_and_decided_when_one_comes(
    open_web: Callable[..., WebSide], redis_client: Redis
) -> None:
    web = open_web()

    response = web.pay()

    assert response.status_code == 202
    assert response.headers["Location"] == "/predictions/t1"
    assert redis_client.exists(names.inbox_key("t1"))
    assert web.counted("tollgate_late_total", outcome="poll") == 1
    assert web.client.get("/predictions/t1").status_code == 202


def test_no_worker_refuse_accepts_nothing(open_web: Callable[..., WebSide], redis_client: Redis) -> None:
    web = open_web()

    response = web.pay(client="careful")

    assert_problem(response, 503, "overloaded")
    assert int(response.headers["Retry-After"]) >= 1
    assert not redis_client.exists(names.inbox_key("t1"), names.result_key("t1"))
    assert web.counted("tollgate_late_total", outcome="refuse") == 1


def test_no_worker_rules_decide_at_once_and_the_ledger_gets_it(
    open_web: Callable[..., WebSide], redis_client: Redis
) -> None:
    web = open_web()

    first, again = web.pay(client="checkout"), web.pay(client="checkout")

    assert (first.status_code, first.get_json()["action"], first.get_json()["degraded"]) == (200, "review", True)
    assert "Tollgate-Replayed" not in first.headers
    assert (again.data, again.headers["Tollgate-Replayed"]) == (first.data, "true")
    drain(redis_client, web.ledger, web.settings)
    stored = web.ledger.decision_by_transaction("t1")
    assert stored is not None
    assert stored.decision.degraded
    assert stored.decision.model_version == "rules"


def test_a_score_that_comes_after_the_rules_decided_changes_nothing(
    open_web: Callable[..., WebSide], redis_client: Redis
) -> None:
    web = open_web()
    ruled = web.pay(client="checkout")

    answer(redis_client, web.settings, take_batch(redis_client))

    assert web.client.get("/predictions/t1").data == ruled.data
    assert drain(redis_client, web.ledger, web.settings) == 1


def test_a_stalled_workers_score_wins_over_rules_that_come_after_it(
    open_web: Callable[..., WebSide], redis_client: Redis
) -> None:
    web = open_web()
    store = TransactionStore(redis_client, web.settings)
    web.pay(client="careful")
    batch = take_batch(redis_client)
    store.commit([finished_row(row) for row in batch.rows], reply_to="", batch_id=0)

    response = web.pay(client="checkout")

    assert response.status_code == 200
    assert response.get_json()["degraded"] is False
    assert response.headers["Tollgate-Replayed"] == "true"


def test_a_late_row_that_became_a_202_is_left_to_the_inbox(
    open_web: Callable[..., WebSide], redis_client: Redis
) -> None:
    web = open_web()
    web.pay()

    late = take_batch(redis_client)
    answer(redis_client, web.settings, late)

    assert not redis_client.exists(names.result_key("t1")), "its deadline is over: nobody waits for this attempt"
    assert redis_client.exists(names.inbox_key("t1"))
    assert redis_client.llen(names.QUEUE_ACCEPTED) == 1, "the message of the accepted transaction"


def in_background(*calls: Callable[[], object]) -> list[threading.Thread]:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    return threads


def fill(web: WebSide) -> list[threading.Thread]:
    """One transaction in flight, and as many waiting as the queue may hold; no worker answers."""
    threads = in_background(*(lambda n=n: web.pay(n, client="careful", prefer="wait=5") for n in (901, 902)))
    for _ in range(NO_HANG_S * 100):
        if web.gateway.coalescer.queued:
            return threads
        threads[0].join(0.01)
    raise AssertionError("the queue never filled")


def test_a_full_queue_refuses_who_polls_and_decides_for_who_has_rules(
    open_web: Callable[..., WebSide], redis_client: Redis
) -> None:
    web = open_web(queue_capacity=2)
    waiting = fill(web)

    polled, refused, ruled = web.pay(1), web.pay(2, client="careful"), web.pay(3, client="checkout")
    for _ in waiting:
        answer(redis_client, web.settings, take_batch(redis_client))
    for thread in waiting:
        thread.join(NO_HANG_S)

    assert_problem(polled, 503, "overloaded")
    assert_problem(refused, 503, "overloaded")
    assert ruled.get_json()["degraded"] is True
    assert not redis_client.exists(names.inbox_key("t1"), names.inbox_key("t2"))
    assert web.counted("tollgate_late_total", outcome="rules_overloaded") == 1
    assert web.counted("tollgate_refused_total", reason="overloaded") == 2


@pytest.mark.parametrize("client", ["", "careful", "checkout"])
def test_a_full_journal_refuses_everybody(open_web: Callable[..., WebSide], redis_client: Redis, client: str) -> None:
    web = open_web(journal_max_entries=1000)
    with redis_client.pipeline() as pipe:
        for _ in range(1000):
            pipe.xadd(names.JOURNAL, {"d": "{}"})
        pipe.execute()
    web.gateway._look_around(redis_client)

    response = web.pay(client=client)

    assert_problem(response, 503, "overloaded")
    assert response.headers["Retry-After"] == "5"
    assert redis_client.xlen(names.JOURNAL) == 1000


def test_a_full_inbox_refuses_what_is_for_later_and_scores_what_is_for_now(
    open_web: Callable[..., WebSide], redis_client: Redis
) -> None:
    web = open_web(inbox_max_entries=100)
    redis_client.zadd(names.INBOX_DUE, {f"x{number}": 2_000_000_000 for number in range(100)})
    web.gateway._look_around(redis_client)
    worker = threading.Thread(target=lambda: answer(redis_client, web.settings, take_batch(redis_client)))

    for response in (web.pay(1, prefer="respond-async"), web.pay(2)):
        assert_problem(response, 503, "overloaded")
        assert response.headers["Retry-After"] == "5"
    labelled = web.client.post("/feedback?actual_label=true", json=SEED)
    assert_problem(labelled, 503, "overloaded")
    redis_client.delete(*names.SCORING_QUEUES)
    worker.start()
    scored = web.pay(3, prefer="wait=5")
    worker.join()

    assert scored.status_code == 200
    assert redis_client.zcard(names.INBOX_DUE) == 100


@pytest.fixture
def own_valkey() -> Iterator[RunningValkey]:
    with running_valkey() as server:
        yield server


def test_without_a_broker_everybody_is_refused_and_served_again_when_it_is_back(
    own_valkey: RunningValkey, tmp_path: Path
) -> None:
    web = WebSide(own_valkey.url, tmp_path)
    assert web.pay(1).status_code == 202
    own_valkey.kill()

    for client in ("", "careful", "checkout"):
        response = web.pay(2, client=client)
        assert_problem(response, 503, "broker_unavailable")
        assert int(response.headers["Retry-After"]) >= 1

    own_valkey.start()
    for _ in range(NO_HANG_S * 10):
        response = web.pay(3, client="checkout")
        if response.status_code == 200:
            break
        threading.Event().wait(0.1)
    assert response.get_json()["degraded"] is True
    assert web.client.get("/predictions/t1").status_code == 202, "what was accepted before is still there"
    assert web.client.get("/predictions/t2").status_code == 404, "what was refused was not accepted"
    web.close()


def test_a_forgotten_decision_while_the_ledger_is_down_is_a_503(
    open_web: Callable[..., WebSide], redis_client: Redis, tmp_path: Path
) -> None:
    web = open_web()
    first = web.pay(client="checkout")
    drain(redis_client, web.ledger, web.settings)
    stored = web.ledger.decision_by_transaction("t1")
    assert stored is not None
    shrink_results(redis_client, ["t1"], [stored.record.digest])
    web.ledger.close()
    (tmp_path / "ledger.db").rename(tmp_path / "away.db")

    down = web.client.get("/predictions/t1")
    (tmp_path / "ledger.db").unlink(missing_ok=True)
    (tmp_path / "away.db").rename(tmp_path / "ledger.db")
    web.ledger.close()

    assert_problem(down, 503, "ledger_unavailable")
    assert int(down.headers["Retry-After"]) >= 1
    assert web.client.get("/predictions/t1").data == first.data


@pytest.mark.parametrize(
    ("changes", "action", "code"),
    [
        ({"merchant_category": "casino"}, "decline", "BLOCK_LIST"),
        ({"merchant_category": "charity", "amount": 9000.0}, "approve", "ALLOW_LIST"),
        ({"amount": 5000.0}, "decline", "AMOUNT_RULE"),
        ({"amount": 500.0}, "review", "AMOUNT_RULE"),
        ({"amount": 5.0}, "approve", "FALLBACK_RULES"),
    ],
)
def test_lists_come_first_then_amounts_in_a_decision_by_the_rules(
    open_web: Callable[..., WebSide], changes: dict[str, Any], action: str, code: str
) -> None:
    decision = open_web().pay(client="checkout", **changes).get_json()

    assert (decision["action"], decision["reasons"][0]["code"], decision["degraded"]) == (action, code, True)
