"""Two models score each batch: whose decision is stored, and what is kept of the other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from redis import Redis

from config.contracts import ChallengerPointer
from config.settings import Settings
from ml.bundle import Bundle
from ml.ledger import Ledger
from ml.policy import Policy
from ml.replay.run import replay_ledger
from ml.replay.shelf import BundleShelf
from tests.replay_site import HISTORY_EVENTS, Site, save_card_bundle
from workers.pair import PairScorer
from workers.pair_counts import PairTally
from workers.scorer import BatchScorer

START_S = 1_767_225_600.0


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def bundles(model_dir: Path) -> list[Bundle]:
    """Two models of one schema that learned their categories in another order."""
    other = {"grocery": 0, "travel": 1, "online": 2}
    return [
        save_card_bundle(model_dir / "cards-1"),
        save_card_bundle(model_dir / "cards-2", vocabulary=other, seed=4),
    ]


@pytest.fixture
def site(redis_client: Redis, bundles: list[Bundle], tmp_path: Path) -> Iterator[Site]:
    """Serves with both models, the second as a canary of 40%."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=bundles[0].schema)
    ledger.migrate()
    served = Site(redis_client, ledger, bundles[0], Settings(history_events=HISTORY_EVENTS, history_retain_s=60))
    first, second = (BatchScorer(bundle, Policy(), explain_above=0.5, reasons_max=3) for bundle in bundles)
    pointer = ChallengerPointer(
        "cards-2", bundles[1].digest, "cards-2", "canary", bundles[0].digest, datetime.now(UTC).isoformat(), 0.4
    )
    served.scorer = PairScorer(first, second, pointer, PairTally())
    yield served
    ledger.close()


def payments(site: Site, n: int) -> None:
    rng = np.random.default_rng(5)
    for number in range(n):
        values = [f"c{number % 9}", f"s{number % 3}", round(float(rng.lognormal(3, 1)), 2), START_S + 60 * number,
                  str(rng.choice(["online", "grocery", "travel", "fuel"])), None, None]  # fmt: skip
        (site.serve_in_bulk if number % 4 == 3 else site.serve)([site.row(values)])


def test_every_transaction_has_a_decision_of_one_model_a_score_of_the_other_and_is_replayed_to_the_bit(
    site: Site, bundles: list[Bundle], model_dir: Path
) -> None:
    payments(site, 60)
    site.drain()

    stored = site.ledger.latest_decisions(1000)
    by_version = {
        bundle.model_version: {
            one.decision.transaction_id for one in stored if one.record.model_digest == bundle.digest
        }
        for bundle in bundles
    }
    looked_on = [set(site.ledger.shadow_scores(bundle.digest)) for bundle in bundles]
    assert looked_on == [by_version["cards-2"], by_version["cards-1"]]
    assert all(0 < len(ids) < 60 for ids in looked_on)
    assert {one.decision.model_version for one in stored} == set(by_version)
    summary = replay_ledger(site.ledger, BundleShelf(model_dir))
    assert (summary.decisions, summary.different, summary.impossible) == (60, 0, {}), summary.shown


def test_a_score_that_looked_on_is_what_that_model_says_when_it_decides(
    site: Site, bundles: list[Bundle], redis_client: Redis, tmp_path: Path
) -> None:
    payments(site, 40)
    site.drain()
    looked_on = site.ledger.shadow_scores(bundles[1].digest)
    assert looked_on

    redis_client.flushall()
    site.scorer, site._served = BatchScorer(bundles[1], Policy(), explain_above=0.5, reasons_max=3), 0
    again = Ledger(f"sqlite:///{tmp_path / 'again.db'}", schema=bundles[1].schema)
    again.migrate()
    site.ledger = again
    payments(site, 40)
    site.drain()

    decided = {one.decision.transaction_id: one.decision.fraud_probability for one in again.latest_decisions(1000)}
    assert {name: decided[name] for name in looked_on} == looked_on
    again.close()


def test_shadow_scores_leave_with_their_decisions(site: Site, bundles: list[Bundle]) -> None:
    payments(site, 20)
    site.drain()
    later = datetime.now(UTC) + timedelta(days=1)

    site.ledger.delete_before(later, unlabelled_before=later)

    assert [site.ledger.shadow_scores(bundle.digest) for bundle in bundles] == [{}, {}]
