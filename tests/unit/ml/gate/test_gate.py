"""The promotion gate: what promotes, what waits in the shadow, what is turned away, and what it says about it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from ml.evaluation.ranking import Ranked
from ml.gate.evidence import Build, Evidence, Window
from ml.gate.gate import decide
from ml.gate.policy import GatePolicy
from ml.gate.verdict import Check, GateReport, as_text
from tests.gate_evidence import DAY_S, GOOD_BUILD, contender, evidence, window, with_thresholds

QUICK = GatePolicy(rounds=50)


def judged(given: Evidence, **policy: Any) -> GateReport:
    return decide(given, msgspec.structs.replace(QUICK, **policy), rng=np.random.default_rng(0))


def check(report: GateReport, name: str) -> Check:
    return next(one for one in report.checks if one.name == name)


def failed(report: GateReport) -> set[str]:
    return {one.name for one in report.checks if not one.passed}


def test_a_better_challenger_is_promoted_and_every_check_says_why() -> None:
    report = judged(evidence())

    assert report.outcome == "promote", as_text(report)
    assert failed(report) == set()
    gain = check(report, "average_precision_gain")
    assert gain.low is not None
    assert gain.low > gain.bound == 0.0
    assert report.frauds >= 200
    assert report.reasons[0].startswith("average_precision_gain: ")


def test_an_equal_challenger_goes_on_in_the_shadow() -> None:
    given = evidence()
    same = replace(given, challenger=replace(given.champion, model_version="new"))

    report = judged(same)

    assert report.outcome == "keep_shadowing"
    assert failed(report) == {"average_precision_gain"}
    assert "; wanted: the whole interval of the gain" in report.reasons[0]


def test_a_worse_challenger_is_rejected() -> None:
    given = evidence()

    report = judged(replace(given, champion=given.challenger, challenger=given.champion))

    assert report.outcome == "reject"
    assert check(report, "average_precision_gain").leads_to == "reject"


def test_shuffled_labels_make_a_challenger_that_is_rejected() -> None:
    given = evidence()
    shuffled = np.random.default_rng(5).permutation(given.challenger.probability)

    report = judged(replace(given, challenger=replace(given.challenger, probability=shuffled)))

    assert report.outcome == "reject"
    assert check(report, "gain_over_linear").leads_to == "reject"


def test_a_feature_that_knows_the_label_is_too_good_to_be_true() -> None:
    given = evidence()
    leaked = np.where(given.window.y > 0, 0.999, 0.001)

    report = judged(replace(given, challenger=replace(given.challenger, probability=leaked)))

    assert report.outcome == "reject"
    assert check(report, "average_precision").leads_to == "reject"


def test_few_matured_frauds_keep_shadowing_however_bad_or_good_the_figures_are() -> None:
    seen = window(1500)
    better = evidence(seen)

    assert seen.frauds < 200
    assert judged(better).outcome == "keep_shadowing"
    assert judged(replace(better, champion=better.challenger, challenger=better.champion)).outcome == "keep_shadowing"


def test_a_window_without_any_fraud_decides_nothing() -> None:
    seen = window(500)
    nothing = Window(np.zeros(500), seen.amount, seen.cards, seen.days, seen.times)
    given = evidence(seen)

    report = judged(replace(given, window=nothing))

    assert report.outcome == "keep_shadowing"
    assert failed(report) == {"matured_frauds"}


@pytest.mark.parametrize(
    ("days_before_window", "outcome"), [(8.0, "promote"), (7.0, "promote"), (6.9, "reject"), (-1.0, "reject")]
)
def test_a_window_that_training_may_have_seen_is_rejected(days_before_window: float, outcome: str) -> None:
    given = evidence()
    until_s = given.window.start_s - days_before_window * DAY_S

    report = judged(replace(given, challenger=replace(given.challenger, trained_until_s=until_s)))

    assert report.outcome == outcome
    assert check(report, "days_since_training").figure == pytest.approx(days_before_window)


def test_a_challenger_that_does_not_say_what_it_learned_from_is_rejected() -> None:
    given = evidence()

    report = judged(replace(given, challenger=replace(given.challenger, trained_until_s=None)))

    assert report.outcome == "reject"
    assert check(report, "days_since_training").figure is None


def test_a_stale_window_is_rejected() -> None:
    given = evidence()

    report = judged(replace(given, as_of_s=given.window.end_s + (7 + 31) * DAY_S))

    assert report.outcome == "reject"
    assert failed(report) == {"window_age_days"}


def test_a_champion_that_has_seen_the_window_is_no_fair_comparison() -> None:
    given = evidence()
    seen_it = replace(given.champion, trained_until_s=given.window.end_s)

    better = judged(replace(given, champion=seen_it))
    worse = judged(replace(given, champion=replace(given.challenger, trained_until_s=given.window.end_s),
                           challenger=given.champion))  # fmt: skip

    assert failed(better) == {"days_since_champion_training"}
    assert (better.outcome, worse.outcome) == ("keep_shadowing", "keep_shadowing")


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (Build(1e-6, 1000, 1.0), "golden_rows"),
        (Build(float("nan"), 1000, 1.0), "golden_rows"),
        (Build(0.0, 1 << 30, 1.0), "bundle_bytes"),
        (Build(0.0, 1000, 5000.0), "latency_us"),
    ],
)
def test_a_bundle_that_is_not_what_it_should_be_is_rejected(build: Build, name: str) -> None:
    report = judged(evidence(build=build))

    assert report.outcome == "reject"
    assert failed(report) == {name}


def test_better_ranking_does_not_buy_decisions_that_cost_money() -> None:
    given = evidence()
    declines_all = with_thresholds(given.challenger, 0.0, 0.0)

    report = judged(replace(given, challenger=declines_all))

    assert report.outcome == "reject"
    assert failed(report) == {"cost_gain"}


def test_scores_far_from_the_base_rate_are_rejected() -> None:
    given = evidence()
    odds = given.challenger.probability / (1 - given.challenger.probability)

    report = judged(replace(given, challenger=replace(given.challenger, probability=8 * odds / (1 + 8 * odds))))

    assert report.outcome == "reject"
    assert check(report, "mean_score_excess").leads_to == "reject"
    assert check(report, "average_precision_gain").passed


def test_an_aged_champion_gives_way_to_one_that_is_not_inferior() -> None:
    given = evidence()
    same = replace(given, challenger=replace(given.champion, model_version="new"), champion_age_s=100 * DAY_S)

    assert judged(same).outcome == "keep_shadowing"
    assert judged(same, champion_max_age_s=90 * DAY_S).outcome == "promote"
    assert judged(same, champion_max_age_s=120 * DAY_S).outcome == "keep_shadowing"


def test_of_equal_models_one_in_twenty_is_promoted_at_most() -> None:
    outcomes = []
    for seed in range(25):
        seen = window(5000, fraud_share=0.06, seed=seed)
        given = evidence(
            seen,
            champion=contender(seen, 2.0, seed=1000 + seed, name="old"),
            challenger=contender(seen, 2.0, seed=5000 + seed, name="new"),
        )
        outcomes.append(judged(given).outcome)

    assert outcomes.count("promote") <= 2, outcomes  # 4 of 150 in a longer run


def test_rows_without_any_card_are_judged_one_by_one() -> None:
    seen = window()
    alone = replace(seen, cards=np.full(len(seen.y), -1))

    assert judged(evidence(alone)).outcome == "promote"


def test_the_same_evidence_and_seed_give_the_same_report() -> None:
    assert judged(evidence()) == judged(evidence())


def test_the_report_is_json_and_text_with_every_check() -> None:
    report = judged(evidence(build=replace(GOOD_BUILD, latency_us=float("inf"))))
    document = json.loads(msgspec.json.encode(report))

    assert document["outcome"] == "reject"
    assert {"name", "figure", "bound", "passed", "leads_to"} <= set(document["checks"][0])
    assert msgspec.convert(document, GateReport) == report
    lines = as_text(report).splitlines()
    assert lines[0].startswith("reject: new against old, on 8,000 payments")
    assert len(lines) == 1 + len(report.checks)
    assert any("latency_us: unknown" in line for line in lines)


def test_a_window_of_unequal_arrays_is_refused() -> None:
    seen = window(100)

    with pytest.raises(ValueError, match="one length"):
        replace(seen, amount=seen.amount[:50])


def test_a_payment_that_stands_for_three_counts_three_times() -> None:
    seen = window()
    weight = np.where(np.arange(len(seen.y)) % 50 == 0, 3.0, 1.0)
    given = evidence(seen)

    plain, weighted = (judged(replace(given, window=one)) for one in (seen, replace(seen, weight=weight)))

    ours, theirs = (
        Ranked(seen.y, one.probability).average_precision(weight) for one in (given.challenger, given.champion)
    )
    assert check(weighted, "average_precision_gain").figure == pytest.approx(ours - theirs)
    # Cards stand for themselves.
    assert check(weighted, "card_precision_gain").figure == check(plain, "card_precision_gain").figure
