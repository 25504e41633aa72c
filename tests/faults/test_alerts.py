"""A real Prometheus beside the running stack: what breaks makes alerts fire, what is mended lets them go."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from config import names
from config.contracts import ChampionPointer
from config.queue.dead_letters import DeadLetters
from config.queue.inbox import Inbox
from config.queue.stats import read_champion
from tests.faults.client import Connection, Told
from tests.faults.payments import Payment, payment
from tests.faults.stack import SCORING, FaultStack
from tests.inbox_work import app
from tests.prometheus_server import RunningPrometheus, running_prometheus

LIMIT_S = 60.0


@pytest.fixture
def prometheus(stack: FaultStack, tmp_path: Path) -> Iterator[RunningPrometheus]:
    """It watches `stack`."""
    with running_prometheus(tmp_path, web_port=stack.port) as server:
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
    """Accept a payment while no worker is there, and use all its attempts up."""
    with closing(Connection(stack.port)) as connection:
        assert connection.send(letter, Told()) == 202
    inbox = Inbox(stack.client, stack.settings)
    for _ in range(stack.settings.inbox_attempts):
        claim = inbox.claim(letter.transaction_id)
        assert claim is not None
        inbox.fail(claim, "the test gave it up")


def test_alerts_fire_when_things_break_and_resolve_when_they_are_mended(
    stack: FaultStack, prometheus: RunningPrometheus, prefix: str
) -> None:
    broken = ("TollgateReloadRefused", "TollgateNoWorkers", "TollgateNotReady", "TollgateDeadLetters")
    prometheus.wait_until_resolved(*broken, limit_s=LIMIT_S)
    champion = read_champion(stack.client)
    assert champion is not None
    letter = payment(prefix, 1, is_async=True)

    point_at(stack, corrupt_copy(stack, champion))
    prometheus.wait_until_firing("TollgateReloadRefused", "TollgateModelVersionMismatch", limit_s=LIMIT_S)
    point_at(stack, msgspec.structs.replace(champion, generation=champion.generation + 2))
    prometheus.wait_until_resolved("TollgateReloadRefused", limit_s=LIMIT_S)
    for worker in SCORING:
        stack.kill(worker)
    give_up(stack, letter)
    prometheus.wait_until_firing("TollgateNoWorkers", "TollgateNotReady", "TollgateDeadLetters", limit_s=LIMIT_S)
    stack.make_whole()
    assert DeadLetters(stack.client, app(), stack.settings).drop(letter.transaction_id)
    prometheus.wait_until_resolved(*broken, limit_s=LIMIT_S)

    assert prometheus.query('sum(tollgate_worker_stage_latency_seconds_count{stage="queue"})') > [0.0]
    assert prometheus.query('tollgate_model_reloads_total{result="refused"}') >= [2.0]
    assert prometheus.query("abs(tollgate_clock_skew_seconds) > 60") == []
