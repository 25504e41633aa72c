"""What the console needs from a real server and a real ledger: the pulse, review leases, replays as a task."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from redis import Redis

from config import names
from config.contracts import WorkerReport
from config.queue import pulse
from config.queue.messages import TaskMessage
from config.queue.replays import LIFETIME_S, ask_for_replay, read_replay
from config.queue.stats import worker_beats
from config.schema.load import load_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from ml.bundle import Bundle
from ml.ledger import Ledger
from tests.replay_site import Site, save_card_bundle
from web.gateway import Gateway
from web.ledger_reader import LedgerReader
from web.pulse import RequestPulse
from web.review_desk import SETTLED, RedisReviews
from workers import background
from workers.heartbeat import Heartbeat
from workers.replays import replay_stored_decision


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def bundle(model_dir: Path) -> Bundle:
    return save_card_bundle(model_dir / "cards-1")


@pytest.fixture
def site(redis_client: Redis, bundle: Bundle, model_dir: Path, tmp_path: Path) -> Iterator[Site]:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=bundle.schema)
    ledger.migrate()
    yield Site(redis_client, ledger, bundle, Settings(model_dir=model_dir))
    ledger.close()


def test_slots_add_up_over_processes_and_are_forgotten(redis_client: Redis) -> None:
    for _ in range(2):
        pulse.add(redis_client, 1001.0, {pulse.answered(200): 3})
    pulse.add(redis_client, 1004.5, {pulse.decided("review"): 1})
    pulse.add(redis_client, 1004.5, {})

    slots = pulse.read(redis_client, since_s=1000, until_s=1006)

    assert slots == [(1000, {pulse.answered(200): 6}), (1002, {}), (1004, {pulse.decided("review"): 1})]
    assert 0 < redis_client.ttl(names.pulse_key(1000)) <= pulse.KEPT_S


def test_what_a_web_process_answered_is_in_the_pulse_within_a_moment(redis_url: str, tmp_path: Path) -> None:
    schema, requests, began_s = load_schema(DEFAULT_SCHEMA), RequestPulse(), time.time()
    ledger = LedgerReader(Ledger(f"sqlite:///{tmp_path / 'ledger.db'}"), schema)
    gateway = Gateway(Settings(redis_url=redis_url), schema, ledger, requests=requests)
    requests.observe(200, 0.004)

    gateway.start()
    try:
        with Redis.from_url(redis_url) as client:
            while not (counts := _counted(client, began_s)):
                assert time.time() < began_s + 20
                time.sleep(0.02)
    finally:
        gateway.close()

    assert counts == {pulse.answered(200): 1, pulse.latency(pulse.latency_bin(0.004)): 1}


def _counted(client: Redis, since_s: float) -> Counter[str]:
    slots = pulse.read(client, since_s=since_s, until_s=time.time() + pulse.SLOT_S)
    return sum((Counter(slot.counts) for slot in slots), Counter())


def test_a_case_is_held_by_one_and_settled_for_all(redis_client: Redis) -> None:
    reviews = RedisReviews(redis_client, lambda command: command())

    assert reviews.claim("d-1", "ann")
    assert reviews.claim("d-1", "ann")
    assert not reviews.claim("d-1", "bob")
    reviews.release("d-1", "bob")
    assert reviews.holders(["d-1", "d-2"]) == ["ann", None]
    assert redis_client.pttl(names.review_key("d-1")) > 0
    reviews.settle("d-1", "ann")
    assert reviews.holders(["d-1"]) == [SETTLED]
    assert not reviews.claim("d-1", "bob")


def test_a_worker_that_fell_silent_is_still_listed(redis_client: Redis) -> None:
    report = WorkerReport("scoring-1", "scoring", "m1", "d", "serving", None)
    for name in ("scoring-1", "scoring-2"):
        Heartbeat(redis_client, lambda name=name: replace(report, worker=name), 1.0).beat()
    redis_client.delete(names.worker_key("scoring-2"))

    speaking, silent = worker_beats(redis_client, 1.0)

    assert speaking.report is not None
    assert replace(speaking.report, clock_skew_ms=0.0) == report  # how far the clocks are apart is measured
    assert (silent.worker, silent.report) == ("scoring-2", None)
    assert silent.age_s < 60


def test_what_was_decided_is_in_the_pulse_and_is_rebuilt_to_the_bit_when_asked_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    began_s, rng = time.time(), np.random.default_rng(7)
    payments = [["c", "s", float(rng.lognormal(3)), 1_767_225_600.0 + n, "food", None, None] for n in range(5)]
    site.serve([site.row(values, transaction_id=f"acme\x1ft{n}") for n, values in enumerate(payments)])
    site.drain()
    slots = pulse.read(site.client, since_s=began_s, until_s=time.time() + pulse.SLOT_S)
    [last] = site.ledger.latest_decisions(limit=1)
    monkeypatch.setattr(background, "_runtime", site.runtime())
    message = TaskMessage(site.runtime().app, names.TASK_REPLAY_DECISION, names.QUEUE_BACKGROUND)

    asked = ask_for_replay(site.client, message, last.decision.decision_id)
    replay_stored_decision(asked.replay_id)
    replay_stored_decision(asked.replay_id)
    done = read_replay(site.client, asked.replay_id)

    assert sum(count for slot in slots for name, count in slot.counts.items() if name.startswith("decided:")) == 5
    assert site.client.llen(names.QUEUE_BACKGROUND) == 1
    assert done is not None
    assert done.result is not None
    assert (done.status, done.result["outcome"], done.result["transaction_id"]) == ("done", "identical", "t4")


def test_a_replay_of_nothing_says_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_runtime", site.runtime())
    message = TaskMessage(site.runtime().app, names.TASK_REPLAY_DECISION, names.QUEUE_BACKGROUND)

    asked = ask_for_replay(site.client, message, "nobody")
    replay_stored_decision(asked.replay_id)
    done = read_replay(site.client, asked.replay_id)

    assert done is not None
    assert 0 < site.client.ttl(names.replay_key(asked.replay_id)) <= LIFETIME_S
    assert done.status == "failed"
    assert "does not hold" in done.detail
