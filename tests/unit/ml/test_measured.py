"""The protocol's rows, the new kind of fraud, and the arithmetic of the replayed loop."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from config.schema.load import load_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from ml.features.spec import FeatureSpec
from ml.measured.figures import Figures, mean_of
from ml.measured.handbook import FIRST_DAY, ProtocolBroken, folds, make_fold
from ml.measured.loop import GATED, STATIC, Week, rows_until, served_rows, weeks_to_recover
from ml.measured.new_fraud import CARDS_A_DAY, PAYMENTS, add_card_testing
from ml.measured.published import on_days
from ml.training.data import LabelledData
from ml.training.dataset import Dataset
from ml.training.split import Split

DAY_S = 86_400
CARDS = 5


def dataset(frauds: dict[tuple[int, int], int]) -> Dataset:
    """One payment per card and day around the first fold; `frauds`: (day after FIRST_DAY, card) -> 1."""
    days = np.repeat(np.arange(FIRST_DAY - 21, FIRST_DAY + 28), CARDS)
    cards = np.tile(np.arange(CARDS), len(days) // CARDS)
    y = [float(frauds.get((day - FIRST_DAY, card), 0)) for day, card in zip(days, cards, strict=True)]
    spec = FeatureSpec.from_schema(load_schema(DEFAULT_SCHEMA.with_name("card.toml")))
    nothing = np.empty(0, np.int64)
    return Dataset(
        X=np.zeros((len(days), len(spec.columns))),
        y=np.array(y),
        times=days * float(DAY_S),
        days=days,
        amount=None,
        cards=cards,
        card_name="customer",
        spec=spec,
        vocabularies={},
        categories={},
        split=Split(nothing, nothing, nothing, 0.0),
        clock="event time",
    )


def test_a_fold_trains_on_seven_days_waits_seven_and_tests_on_seven() -> None:
    data = dataset({})

    fold = make_fold(data, FIRST_DAY)

    windows = [sorted(set(data.days[rows] - FIRST_DAY)) for rows in (fold.earlier, fold.choose, fold.train, fold.test)]
    assert windows == [list(range(-14, -7)), list(range(7)), list(range(7)), list(range(14, 21))]


def test_more_days_of_training_reach_back_and_leave_the_test_rows() -> None:
    data = dataset({(3, 1): 1})

    short, long = make_fold(data, FIRST_DAY), make_fold(data, FIRST_DAY, training_days=10)

    assert sorted(set(data.days[long.train] - FIRST_DAY)) == list(range(-3, 7))
    assert long.test.tolist() == short.test.tolist()


def test_cards_leave_the_test_days_once_their_fraud_is_known() -> None:
    data = dataset({(3, 1): 1, (8, 2): 1, (15, 3): 1})

    test = make_fold(data, FIRST_DAY).test

    days_of = {card: sorted(data.days[test][data.cards[test] == card] - FIRST_DAY) for card in (1, 2, 3)}  # type: ignore[index]
    assert days_of == {1: [], 2: [14, 15], 3: list(range(14, 21))}


def test_rows_that_are_not_the_handbooks_are_refused() -> None:
    with pytest.raises(ProtocolBroken, match="67240"):
        folds(dataset({}))


def payments(days: int) -> LabelledData:
    at = pd.date_range("2018-04-01", periods=days * 4, freq="6h")
    frame = pd.DataFrame({"TX_DATETIME": at, "CUSTOMER_ID": 1, "TERMINAL_ID": 2, "TX_AMOUNT": 50.0})
    return LabelledData(frame, np.zeros(len(frame)))


def test_the_new_fraud_begins_on_its_day_and_changes_no_other_row() -> None:
    data = payments(days=5)
    first_day = int(data.frame["TX_DATETIME"].iloc[0].timestamp()) // DAY_S + 3

    changed = add_card_testing(data, first_day, np.random.default_rng(0))

    fraud = changed.frame[changed.y > 0]
    assert len(fraud) == 2 * CARDS_A_DAY * PAYMENTS
    assert fraud["TX_DATETIME"].min() >= pd.Timestamp("2018-04-04")
    assert fraud["TX_DATETIME"].dt.hour.max() < 5
    assert changed.frame["TX_DATETIME"].is_monotonic_increasing
    pd.testing.assert_frame_equal(changed.frame[changed.y == 0].reset_index(drop=True), data.frame)


def test_only_the_days_asked_for_are_kept() -> None:
    data = payments(days=5)
    first_day = int(data.frame["TX_DATETIME"].iloc[0].timestamp()) // DAY_S

    kept = on_days(data, range(first_day + 1, first_day + 3))

    assert kept.frame.index.tolist() == list(range(4, 12))


def test_what_had_happened_by_a_moment_is_the_beginning_of_the_stream() -> None:
    rows = served_rows(dataset({}), 7.0 * DAY_S)

    earlier = rows_until(rows, float(FIRST_DAY * DAY_S))

    assert earlier.times.max() == FIRST_DAY * DAY_S
    assert len(earlier.X) == len(earlier.y) == 22 * CARDS


def weeks(*gated: float) -> list[Week]:
    return [
        Week(number * 7.0 * DAY_S, 1000, 100, "keep_shadowing", 0.0, {STATIC: 0.5, GATED: value})
        for number, value in enumerate(gated)
    ]


@pytest.mark.parametrize(
    ("gated", "expected"),
    [((0.8, 0.8, 0.5, 0.6, 0.79), 2), ((0.8, 0.8, 0.5, 0.6, 0.6), None), ((0.8, 0.8, 0.79, 0.78, 0.8), 1)],
)
def test_recovery_counts_whole_weeks_after_the_drift(gated: tuple[float, ...], expected: int | None) -> None:
    assert weeks_to_recover(weeks(*gated), drift_s=14.0 * DAY_S) == expected


def test_the_mean_over_folds_is_taken_figure_by_figure() -> None:
    mean = mean_of([Figures(0.5, 0.25, 0.0), Figures(1.0, 0.75, 0.5)])

    assert mean == Figures(0.75, 0.5, 0.25)
