"""The guard: what breaks a limit, what does not, and how often equal models do by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from config.contracts import ScoreProfile
from ml.features.compiled import Floats
from ml.guard.check import GuardLimits, GuardReport, check_pair
from ml.guard.counts import PairCounts
from workers.pair_counts import count_pair

LIMITS = GuardLimits(min_rows=500)
REVIEW = 0.2


@dataclass(frozen=True)
class Scores:
    """Two models on `n` payments, a few risky. `noise`: deviation of each one's own error, in log-odds."""

    rng: np.random.Generator
    n: int = 500
    noise: float = 0.7

    def draw(self) -> tuple[Floats, Floats]:
        truth = self.rng.normal(-5, 1.5, self.n) + 5 * (self.rng.random(self.n) < 0.02)
        first, second = (truth + self.rng.normal(0, self.noise, self.n) for _ in range(2))
        return 1 / (1 + np.exp(-first)), 1 / (1 + np.exp(-second))


def judged(ours: Floats, theirs: Floats | None, *, us: tuple[float, float] = (10.0, 10.0)) -> GuardReport:
    took_s = (us[0] * len(ours) / 1e6, us[1] * len(ours) / 1e6)
    counts = count_pair(ours, theirs, reviews=(REVIEW, REVIEW), took_s=took_s, taken=0)
    return check_pair(PairCounts.read(counts, newer="challenger"), LIMITS)


def broken(report: GuardReport) -> set[str]:
    return {one.name for one in report.findings if one.is_broken}


@pytest.fixture
def scores() -> Scores:
    return Scores(np.random.default_rng(5))


def test_equal_models_with_errors_of_their_own_are_never_taken_for_broken(scores: Scores) -> None:
    """400 windows of the fewest payments that are judged: no false alarm, so at most 0.75% at 95% confidence."""
    alarms = [broken(judged(*scores.draw())) for _ in range(400)]

    assert [names for names in alarms if names] == []


def test_a_model_that_declines_everything_is_caught_by_its_alerts_and_its_scores(scores: Scores) -> None:
    ours, _ = scores.draw()

    assert broken(judged(ours, np.full(len(ours), 0.99))) == {"alert_ratio", "score_psi"}


def test_a_model_that_sees_nothing_is_caught_too(scores: Scores) -> None:
    ours, _ = Scores(scores.rng, n=5000).draw()

    assert "alert_ratio" in broken(judged(ours, np.full(len(ours), 0.001)))


def test_a_model_that_fails_or_dawdles_is_caught(scores: Scores) -> None:
    ours, theirs = scores.draw()

    assert broken(judged(ours, None)) == {"error_rate"}
    assert broken(judged(ours, theirs, us=(100.0, 400.0))) == {"latency_ratio"}
    assert broken(judged(ours, theirs, us=(10.0, 100.0))) == set(), "still quick: a pause of the machine, not a limit"


def test_below_the_fewest_rows_nothing_is_judged(scores: Scores) -> None:
    ours, _ = Scores(scores.rng, n=499).draw()

    report = judged(ours, np.full(len(ours), 0.99))

    assert (report.is_enough, report.broken) == (False, [])
    assert len(report.figures) == 4


def test_a_former_champion_is_compared_the_other_way_round(scores: Scores) -> None:
    ours, theirs = scores.draw()
    counts = count_pair(np.full(len(ours), 0.99), theirs, reviews=(REVIEW, REVIEW), took_s=(1.0, 1.0), taken=0)

    report = check_pair(PairCounts.read(counts, newer="champion"), LIMITS)

    assert broken(report) == {"alert_ratio", "score_psi"}
    assert report.broken[0].startswith("alert_ratio: ")


def test_a_model_that_is_as_it_was_when_the_gate_judged_it_is_not_broken(scores: Scores) -> None:
    """The other one sees nothing of what this one alerts on: that is why it was promoted."""
    blind, seeing = np.full(5000, 0.001), np.where(np.arange(5000) % 20, 0.003, 0.9)
    counts = PairCounts.read(
        count_pair(blind, seeing, reviews=(REVIEW, REVIEW), took_s=(1.0, 1.0), taken=0), newer="challenger"
    )
    as_judged = ScoreProfile(rows=1000, alerts=60, bins=[0, 0, 0, 940, 0, 0, 0, 0, 0, 60])
    otherwise = ScoreProfile(rows=1000, alerts=2, bins=[998, 0, 0, 0, 0, 0, 0, 0, 0, 2])

    assert broken(check_pair(counts, LIMITS)) == {"alert_ratio", "score_psi"}
    assert broken(check_pair(counts, LIMITS, expected=as_judged)) == set()
    assert broken(check_pair(counts, LIMITS, expected=otherwise)) == {"alert_ratio", "score_psi"}
