"""Advice on thresholds: the optimum on paper, reviewers who cannot keep up, what nobody knows, how sure it is."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from ml.advisor.advice import Advice, advise
from ml.advisor.draws import Draws
from ml.advisor.report import LEAST_FRAUDS, Question, make_report, matured_range
from ml.advisor.scores import LAST, DayScores, Sums, add_up, edge, nearest_edge
from ml.advisor.window import Cut, best_cut, make_window
from ml.costs import CostMatrix, Reviewers
from ml.quality.cells import LabelDelay, QualityState
from ml.thresholds import Thresholds
from tests.threshold_days import calibrated_day, calibrated_days

COSTS = CostMatrix(margin=0.02, refusal=20.0, review=2.5, review_misses=0.1, chargeback_fee=15.0)
ANYBODY = Reviewers()
WIDTH = 0.06
"""Thresholds lie on the edges of bins that are 5% wide."""


def advice(scores: list[DayScores] | None = None, **changes: object) -> Advice:
    given: dict[str, object] = {"costs": COSTS, "reviewers": ANYBODY}
    return advise(scores or calibrated_days(8), **(given | changes))  # type: ignore[arg-type]


def test_without_reviews_the_advice_is_the_optimum_of_elkan() -> None:
    best = advice(costs=CostMatrix(review=1e6, chargeback_fee=15.0)).best

    # Declining pays from where p (amount + fee) = (1 - p) (refusal + margin amount).
    lost, kept = 100.0 + 15.0, 20.0 + 2.0
    assert best.decline == pytest.approx(kept / (lost + kept), rel=WIDTH)
    assert best.review == best.decline
    assert best.reviews_per_day.value == 0


def test_with_reviews_both_thresholds_are_where_two_actions_cost_the_same() -> None:
    best = advice().best

    lost, kept = 115.0, 22.0
    assert best.review == pytest.approx(2.5 / (0.9 * lost), rel=WIDTH)
    # p misses lost + review = (1 - p) kept
    assert best.decline == pytest.approx((kept - 2.5) / (kept + 0.1 * lost), rel=WIDTH)


def test_reviewers_who_cannot_keep_up_get_what_they_can_do_and_see_what_more_would_be_worth() -> None:
    found = advice(reviewers=Reviewers(per_day=20_000, minutes=3.0))

    assert found.best.reviews_per_day.value <= 20_000
    assert found.best.reviews_per_day.value > 15_000
    assert found.best.review_hours_per_day == pytest.approx(found.best.reviews_per_day.value / 20)
    assert found.unlimited is not None
    assert found.unlimited.cost_per_day.value < found.best.cost_per_day.value
    assert advice().unlimited is None


def test_with_no_reviewers_nothing_is_reviewed() -> None:
    best = advice(reviewers=Reviewers(per_day=0)).best

    assert best.review == best.decline
    assert best.reviews_per_day.value == 0


def test_no_point_of_the_curves_costs_less_than_the_advice() -> None:
    found = advice()

    points = (*found.review_curve, *found.decline_curve)
    assert len(points) > 60
    assert min(point.costs_more_per_day for point in points) == 0
    assert [point.is_as_good for point in found.review_curve if point.threshold == found.best.review] == [True]
    assert not all(point.is_as_good for point in points)


@pytest.mark.parametrize("per_day", [None, 0, 40, 300])
def test_the_best_pair_is_the_one_that_trying_all_pairs_finds(per_day: float | None) -> None:
    rng = random.Random(3)
    sums = [Sums(n, n - f, 50.0 * n, f, rng.uniform(10, 90) * f) for n, f in _counts(rng, 25)]
    window = make_window([DayScores(day="d", model_version="m", bins=list(range(25)), sums=sums)], COSTS)

    found = best_cut(window.total, most_reviews=per_day)

    pairs = [Cut(low, high) for high in range(26) for low in range(high + 1)]
    allowed = [cut for cut in pairs if per_day is None or window.total.reviewed(cut) <= per_day]
    assert found in allowed
    assert window.total.worth(found) == pytest.approx(max(map(window.total.worth, allowed)))


def _counts(rng: random.Random, n: int) -> list[tuple[int, int]]:
    return [(100 + place, rng.randrange(4 * (place + 1))) for place in range(n)]


def test_the_thresholds_in_force_are_compared_and_the_saving_is_checked_on_other_days() -> None:
    found = advice(current=Thresholds(0.5, 0.9))

    assert found.current is not None
    assert (found.current.review, found.current.decline) == (0.5, 0.9)
    assert found.saves_per_day is not None
    assert 0 < found.saves_per_day.low < found.saves_per_day.value < found.saves_per_day.high
    difference = found.current.cost_per_day.value - found.best.cost_per_day.value
    assert found.saves_per_day.value == pytest.approx(difference)
    # The days are alike, so what was chosen on some holds on the others.
    assert found.checked_saves_per_day == pytest.approx(found.saves_per_day.value)
    assert advice(calibrated_days(1), current=Thresholds(0.5, 0.9)).checked_saves_per_day is None


def test_figures_are_of_an_average_day() -> None:
    days = [calibrated_day("2026-03-01", each=100), calibrated_day("2026-03-02", each=300)]

    found = advise(days, COSTS, ANYBODY, current=Thresholds(0.5, 0.5))

    assert found.current is not None
    assert found.current.alerts_per_day.value == 200 * 80
    assert found.current.alerts_per_day.low == 100 * 80
    assert found.current.alerts_per_day.high == 300 * 80
    assert found.current.cost_per_payment is not None
    assert found.current.cost_per_payment.value == pytest.approx(found.current.cost_per_day.value / (200 * 200))
    assert found.current.recall is not None
    assert found.current.recall.low == pytest.approx(found.current.recall.high)


def test_declines_that_nobody_labelled_count_by_their_score_and_the_advice_is_shown_for_either_extreme() -> None:
    known = calibrated_day("2026-03-01")
    unlabelled = [
        msgspec.structs.replace(
            one,
            unknown=float(one.decisions),
            unknown_amount=one.good_amount + one.fraud_amount,
            unknown_fraud=one.fraud,
            unknown_fraud_amount=one.fraud_amount,
        )
        if place >= 0
        else one
        for place, one in zip(known.bins, known.sums, strict=True)
    ]

    found = advice([msgspec.structs.replace(known, sums=unlabelled)])

    assert found.best == advice([known]).best
    assert found.unknown.decisions == 80 * 1000
    assert 0.5 < found.unknown.share_of_fraud < 1
    assert found.unknown.if_genuine.decline > found.best.decline > found.unknown.if_fraud.decline
    assert found.unknown.if_fraud.decline <= 0.51


def test_thresholds_find_the_nearest_edge() -> None:
    for place in (-LAST, -100, 0, 3, LAST - 1):
        assert nearest_edge(edge(place)) == place
    assert nearest_edge(edge(3) * 1.001) == 3
    assert nearest_edge(1.0) == LAST
    assert edge(LAST) == 1.0


def test_models_of_one_day_add_up() -> None:
    days = [calibrated_day("2026-03-01"), calibrated_day("2026-03-01", model_version="m2")]

    assert add_up(days)[0] == Sums(
        2000, *(2 * value for value in msgspec.structs.astuple(calibrated_day("2026-03-01").sums[120])[1:])
    )
    assert advise(days, COSTS, ANYBODY).best.alerts_per_day.value == 2 * advice(days[:1]).best.alerts_per_day.value


def test_only_days_whose_labels_are_in_count() -> None:
    now = datetime(2026, 3, 20, 12, tzinfo=UTC)
    delay = LabelDelay(7 * 86_400.0, True, 500)

    assert matured_range(5, delay, "2026-03-19", now) == ("2026-03-08", "2026-03-13")
    assert matured_range(5, delay, "2026-03-02", now) == ("2026-02-26", "2026-03-03")
    assert matured_range(5, delay, None, now) is None


STATE = QualityState(datetime(2026, 4, 1, tzinfo=UTC), LabelDelay(86_400.0, True, 500), 100)
WITHIN = ("2026-03-01", "2026-03-31")


def test_too_few_frauds_are_no_advice_and_say_so() -> None:
    few = msgspec.structs.replace(calibrated_day("2026-03-01"), bins=[0], sums=[Sums(100, 60.0, 6e3, 40.0, 4e3)])

    report = make_report(Question(), [few], WITHIN, STATE)

    assert report.advice is None
    assert (report.decisions, report.frauds) == (100, 40.0)
    assert report.notes == [f"no advice: 40 matured frauds; fewer than {LEAST_FRAUDS} say more of chance than of cost"]
    assert make_report(Question(), [], None, None).notes == ["no decisions have been rolled up yet"]


def test_a_champion_without_frauds_of_its_own_borrows_those_of_all_models_and_says_so() -> None:
    scores = calibrated_days(15)

    own = make_report(Question(champion="m1"), scores, WITHIN, STATE)
    borrowed = make_report(Question(champion="m2"), scores, WITHIN, STATE)
    asked = make_report(Question(model_version="m2", champion="m1"), scores, WITHIN, STATE)

    assert (own.model_version, own.notes) == ("m1", [])
    assert borrowed.model_version is None
    assert borrowed.notes == ["m2 has 0 matured frauds, so the scores of all models are taken together"]
    assert (asked.model_version, asked.decisions, asked.advice) == ("m2", 0, None)


def test_an_interval_over_days_covers_the_truth_about_as_often_as_it_says() -> None:
    rng, hits = random.Random(5), 0
    draws = Draws(40)
    for _ in range(100):
        figure = draws.mean([rng.gauss(10.0, 3.0) for _ in range(40)])
        hits += figure.low <= 10.0 <= figure.high

    assert 88 <= hits <= 99
    assert draws.ratio([0.0] * 40, [0.0] * 40) is None


def test_the_window_ends_with_the_last_matured_day_even_after_a_pause() -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)

    first, last = matured_range(30, LabelDelay(86_400.0, False, 0), "2026-03-31", now) or ("", "")

    assert (last, first) == ("2026-04-01", (datetime(2026, 4, 1, tzinfo=UTC) - timedelta(days=30)).date().isoformat())
