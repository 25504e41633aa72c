"""A real Prometheus beside the running stack: what breaks makes alerts fire, what is mended lets them go."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from config import names
from config.contracts import ChampionPointer
from config.queue.dead_letters import DeadLetters
from config.queue.inbox import Inbox
from config.queue.messages import task_message
from config.queue.stats import read_champion
from tests.faults.client import Load, Told
from tests.faults.payments import Payment, payment
from tests.faults.stack import SCORING, FaultStack
from tests.inbox_work import app
from tests.prometheus_server import RunningPrometheus, running_prometheus
from tests.servers import free_port

LIMIT_S = 60.0
AT_ONCE = 14
"""Payments sent at the same time: more than the ten that a burn rate or a count of redeliveries wants to see."""

SPOILED = (
    "TollgateReloadRefused",
    "TollgateModelVersionMismatch",
    "TollgateBrokerMemory",
    "TollgateJournalRefused",
    "TollgateDrift",
)
"""A damaged bundle, a full broker, an entry that the ledger refused, a drift check that found much."""

NO_EXPORTER = ("TollgateExporterDown",)
"""There is none in this stack, from the beginning to the end."""

NOBODY_WORKS = (
    "TollgateNoWorkers",
    "TollgateNotReady",
    "TollgateScoreQueueOld",
    "TollgateDeadLetters",
    "TollgateAcceptedQueueOld",
    "TollgateBackgroundQueueOld",
    "TollgateInboxOverdue",
    "TollgateJournalLag",
    "TollgateBulkStalled",
)
SLOW = ("TollgateLatencyBurnFast", "TollgateLatencyBurnSlow")
NO_BROKER = ("TollgateBrokerDown", "TollgateAvailabilityBurnFast")
REMEMBERED = ("TollgateAvailabilityBurnSlow",)
"""Fires for as long as its window looks back at the broker's outage."""
NO_WEB = ("TollgateDown",)
MESSAGES_LOST = ("TollgateRedeliveries",)


@pytest.fixture
def prometheus(stack: FaultStack, tmp_path: Path) -> Iterator[RunningPrometheus]:
    """It watches `stack`, and a celery-exporter that is not there."""
    with running_prometheus(tmp_path, web_port=stack.port, exporter_port=free_port()) as server:
        yield server


def point_at(stack: FaultStack, pointer: ChampionPointer) -> None:
    stack.client.set(names.CHAMPION, msgspec.json.encode(pointer))


def corrupt_copy(stack: FaultStack, pointer: ChampionPointer) -> ChampionPointer:
    """A pointer at a copy of the champion of which one byte is wrong, as another model."""
    copy = stack.settings.model_dir / "corrupt"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(stack.settings.model_dir / pointer.path, copy)
    model = copy / "bundle.joblib"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    return msgspec.structs.replace(pointer, path=copy.name, digest="c" * 64, generation=pointer.generation + 1)


def give_up(stack: FaultStack, letter: Payment) -> None:
    """Use all attempts of an accepted payment up, as a worker that fails at it does."""
    inbox = Inbox(stack.client, stack.settings)
    for _ in range(stack.settings.inbox_attempts):
        claim = inbox.claim(letter.transaction_id)
        assert claim is not None
        inbox.fail(claim, "the test gave it up")


def some(prefix: str, turn: int, *, is_async: bool = False) -> list[Payment]:
    """Payments that no other turn sends."""
    return [payment(prefix, turn * AT_ONCE + number, is_async=is_async) for number in range(AT_ONCE)]


def send(stack: FaultStack, sent: Sequence[Payment]) -> set[int]:
    """Send payments, all at the same time; the statuses of the answers."""
    told = Told()
    with Load(stack.port, iter(sent), clients=len(sent), is_patient=False, told=told):
        stack.wait_until(lambda: len(told.attempts) == len(sent), LIMIT_S)
    return set(told.statuses)


def fill_broker(stack: FaultStack) -> None:
    """Leave the broker a fifth more memory than it holds."""
    used: Any = stack.client.info("memory")
    stack.client.config_set("maxmemory", int(used["used_memory"] * 1.2))


def leave_a_chunk(stack: FaultStack) -> None:
    """A message for bulk workers, of which this stack has none."""
    message = task_message(app(), names.TASK_SCORE_CHUNK, names.QUEUE_BULK)
    stack.client.lpush(names.QUEUE_BULK, message.render("nothing", enqueued_ms=round(time.time() * 1000)))


def test_alerts_fire_when_things_break_and_resolve_when_they_are_mended(
    stack: FaultStack, prometheus: RunningPrometheus, prefix: str
) -> None:
    champion = read_champion(stack.client)
    assert champion is not None
    prometheus.wait_until_resolved(*SPOILED, *NOBODY_WORKS, limit_s=LIMIT_S)

    stack.kill("background")
    leave_a_chunk(stack)
    refused = stack.client.xadd(names.JOURNAL_REFUSED, {"reason": "the test refused it"})
    assert send(stack, some(prefix, 0)) == {200}
    stack.client.hset(names.DRIFT, "is_strong", 1)
    fill_broker(stack)
    point_at(stack, corrupt_copy(stack, champion))
    prometheus.wait_until_firing(*SPOILED, *NO_EXPORTER, limit_s=LIMIT_S)

    point_at(stack, msgspec.structs.replace(champion, generation=champion.generation + 2))
    stack.client.config_set("maxmemory", 0)
    stack.client.delete(names.DRIFT)
    stack.client.xdel(names.JOURNAL_REFUSED, refused)
    prometheus.wait_until_resolved(*SPOILED, limit_s=LIMIT_S)

    for worker in SCORING:
        stack.kill(worker)
    accepted = some(prefix, 1, is_async=True)
    assert send(stack, accepted) == {202}
    give_up(stack, accepted[0])
    assert send(stack, some(prefix, 2)) == {202}
    prometheus.wait_until_firing(*SLOW, *NOBODY_WORKS, limit_s=LIMIT_S)

    stack.valkey.kill()
    assert send(stack, some(prefix, 3)) == {503}
    prometheus.wait_until_firing(*NO_BROKER, *REMEMBERED, limit_s=LIMIT_S)

    stack.kill("web")
    prometheus.wait_until_firing(*NO_WEB, limit_s=LIMIT_S)

    stack.valkey.start()
    stack.client.delete(*names.SCORING_QUEUES, names.QUEUE_BULK)
    stack.make_whole()
    assert DeadLetters(stack.client, app(), stack.settings).drop(accepted[0].transaction_id)
    prometheus.wait_until_firing(*MESSAGES_LOST, limit_s=LIMIT_S)
    prometheus.wait_until_resolved(*NOBODY_WORKS, *NO_BROKER, *NO_WEB, limit_s=LIMIT_S)

    assert prometheus.query('sum(tollgate_worker_stage_latency_seconds_count{stage="queue"})') > [0.0]
    assert prometheus.query('tollgate_model_reloads_total{result="refused"}') >= [2.0]
    assert prometheus.query("abs(tollgate_clock_skew_seconds) > 60") == []
