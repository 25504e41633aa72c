"""Two models on one batch: who decides what, and what is written down of the other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest
from fakeredis import FakeRedis

from config import names
from config.contracts import ChallengerPointer, ChampionPointer, Decision, JournalRecord, ShadowScore
from config.settings import Settings
from ml.decisions import Thresholds
from ml.policy import Policy
from ml.promotion.watching import read_counts
from tests.unit.workers.test_scorer import TinyBundle, decline, observed
from workers.pair import PairScorer
from workers.pair_counts import KEPT_S, PairTally
from workers.scorer import BatchScorer
from workers.store import CANARY, Finished


class OtherBundle(TinyBundle):
    """Twice as suspicious; an amount of 666 breaks it."""

    model_version = "tiny-2"
    digest = "e" * 64
    thresholds = Thresholds(review=0.3, decline=0.7)

    def score(self, X: Any) -> Any:
        if (X[:, 0] == 666).any():
            raise FloatingPointError("broken challenger")
        return np.minimum(X[:, 0] / 500, 1.0)


@pytest.fixture
def tally() -> PairTally:
    return PairTally()


def pair(tally: PairTally, *, share: float = 0.0) -> PairScorer:
    champion, challenger = (
        BatchScorer(bundle, Policy(), explain_above=0.3, reasons_max=3)  # type: ignore[arg-type]
        for bundle in (TinyBundle(), OtherBundle())
    )
    pointer = ChallengerPointer(
        "tiny-2", "e" * 64, "tiny-2", "canary" if share else "shadow", "d" * 64, "2026-01-01T00:00:00+00:00", share
    )
    return PairScorer(champion, challenger, pointer, tally)


def decision(finished: Finished) -> Decision:
    return msgspec.json.decode(finished.decision, type=Decision)


def record(finished: Finished) -> JournalRecord:
    return msgspec.json.decode(finished.record, type=JournalRecord)


def counted(tally: PairTally) -> dict[str, int]:
    client = FakeRedis()
    with client.pipeline() as pipe:
        tally.write(pipe)
        pipe.execute()
    [key] = client.keys(f"{names.KEY_PREFIX}pair:*")
    return {name.decode(): int(count) for name, count in client.hgetall(key).items()}


def test_a_shadow_decides_nothing_and_its_score_goes_with_the_record(tally: PairTally) -> None:
    first, second = pair(tally).finish([observed(100), observed(400)])

    assert [decision(item).model_version for item in (first, second)] == ["tiny-1", "tiny-1"]
    assert [decision(item).fraud_probability for item in (first, second)] == [0.1, 0.4]
    assert record(second).shadow == ShadowScore("tiny-2", "e" * 64, 0.8)
    assert b"tiny-2" not in second.decision


def test_a_canary_decides_its_share_and_each_decision_names_one_model(tally: PairTally) -> None:
    rows = [decline(f"d-{number}", 100.0) for number in range(400)]

    finished = pair(tally, share=0.25).finish(rows)

    by_canary = [item for item in finished if decision(item).model_version == "tiny-2"]
    assert 70 <= len(by_canary) <= 130  # 100 expected, standard deviation 8.7
    assert [item.row.transaction_id for item in finished] == [row.row.transaction_id for row in rows]
    assert {(decision(item).fraud_probability, record(item).model_digest) for item in by_canary} == {(0.2, "e" * 64)}
    assert {record(item).shadow for item in by_canary} == {ShadowScore("tiny-1", "d" * 64, 0.1)}
    again = pair(tally, share=0.25).finish(rows[::-1])[::-1]
    assert [decision(item).model_version for item in again] == [decision(item).model_version for item in finished]
    assert counted(tally)["challenger_decided"] == 2 * len(by_canary)


def test_whatever_breaks_the_challenger_the_champion_decides_and_it_is_counted(tally: PairTally) -> None:
    finished = pair(tally, share=0.5).finish([observed(666), observed(100)])

    assert [decision(item).model_version for item in finished] == ["tiny-1", "tiny-1"]
    assert record(finished[0]).shadow is msgspec.UNSET
    counts = counted(tally)
    assert (counts["rows"], counts["challenger_failed"]) == (2, 2)


def test_a_row_that_breaks_the_champion_fails_alone(tally: PairTally) -> None:
    finished = pair(tally).finish([observed(100), observed(5000), observed(200)])

    assert [item.status for item in finished] == ["N", "E", "N"]


def test_the_probe_of_the_health_check_is_the_champions_and_counts_for_nothing(tally: PairTally) -> None:
    finished = pair(tally, share=0.5).finish([observed(100, status=CANARY)])

    assert decision(finished[0]).model_version == "tiny-1"
    assert tally._counts == {}


def test_what_was_counted_is_read_as_the_guard_wants_it(tally: PairTally) -> None:
    pair(tally).finish([observed(100), observed(200), observed(900)])
    client = FakeRedis()
    with client.pipeline() as pipe:
        tally.write(pipe)
        pipe.execute()
    [key] = client.keys(f"{names.KEY_PREFIX}pair:*")
    assert client.ttl(key) == KEPT_S
    now = datetime.now(UTC)
    champion = ChampionPointer("tiny-1", "d" * 64, "tiny-1", 1, now.isoformat())
    held = ChallengerPointer("tiny-2", "e" * 64, "tiny-2", "shadow", "d" * 64, now.isoformat())

    counts = read_counts(client, Settings(), champion, held, now=now)

    assert (counts.rows, counts.older.alerts, counts.newer.alerts, counts.newer.alone) == (3, 1, 2, 1)
    assert sum(counts.newer.bins) == 3
