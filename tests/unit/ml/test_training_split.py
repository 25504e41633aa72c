"""Windows follow each other in time, with a gap, and every one has frauds to learn from or be judged by."""

from __future__ import annotations

import numpy as np
import pytest

from config.errors import ModelRefused
from ml.training.split import Split, split_by_time

DAY_S = 86_400.0
START_S = 1_750_000_000.0


def labels(n: int, every: int) -> np.ndarray:
    y = np.zeros(n)
    y[::every] = 1
    return y


def cut(times: np.ndarray, y: np.ndarray, delay_days: float = 7, source: str = "event time") -> Split:
    return split_by_time(times, y, label_delay_s=delay_days * DAY_S, source=source)  # type: ignore[arg-type]


def test_windows_are_in_time_order_with_the_label_delay_between_them() -> None:
    times = np.random.default_rng(0).permutation(START_S + np.arange(20_000) * DAY_S / 100)

    split = cut(times, labels(20_000, 50))

    assert times[split.validate].min() - times[split.train].max() >= 7 * DAY_S
    assert times[split.test].min() - times[split.validate].max() >= 7 * DAY_S
    assert (np.diff(times[split.train]) >= 0).all()
    assert split.notes == []


def test_short_data_gets_a_shorter_gap_and_says_so() -> None:
    times = START_S + np.arange(5000) * 2 * DAY_S / 5000

    split = cut(times, labels(5000, 20))

    assert split.gap_s == pytest.approx(0.08 * 2 * DAY_S, rel=0.01)
    assert "instead of the label delay of 7.0 days" in split.notes[0]


def test_data_without_time_is_taken_in_file_order_without_a_gap() -> None:
    split = cut(np.arange(1000.0), labels(1000, 10), source="row order")

    assert np.array_equal(np.concatenate([split.train, split.validate, split.test]), np.arange(1000))
    assert split.gap_s == 0


def test_a_counter_is_no_clock() -> None:
    split = cut(np.arange(1000.0), labels(1000, 10))

    assert split.gap_s == 0
    assert "counts rows" in split.notes[0]


def test_cuts_move_when_a_window_would_hold_too_few_frauds() -> None:
    y = np.zeros(10_000)
    y[:4000:50] = 1

    split = cut(np.arange(10_000.0), y)

    assert [int(y[rows].sum()) >= 5 for rows in (split.train, split.validate, split.test)] == [True] * 3
    assert any("of the frauds" in note for note in split.notes)


def test_gaps_close_before_training_is_given_up() -> None:
    times = START_S + np.arange(2000) * DAY_S
    y = np.zeros(2000)
    y[900:980:2] = 1

    split = cut(times, y, delay_days=30)

    assert split.gap_s == 0
    assert any("gaps were closed" in note for note in split.notes)


def test_unlabelled_rows_are_in_no_window() -> None:
    y = labels(3000, 10)
    y[1::3] = np.nan

    split = cut(np.arange(3000.0), y)

    assert not np.isnan(y[np.concatenate([split.train, split.validate, split.test])]).any()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(1000), "0 labelled frauds"),
        (labels(1000, 50), "20 labelled frauds"),
        (np.ones(1000), "nothing good"),
        (np.full(1000, np.nan), "0 labelled frauds"),
        (np.concatenate([np.ones(40), np.zeros(2000)]), "no cut leaves"),
    ],
)
def test_too_few_frauds_are_refused_with_the_count(y: np.ndarray, message: str) -> None:
    with pytest.raises(ModelRefused, match=message):
        cut(np.arange(float(len(y))), y)


def test_a_file_without_times_that_is_sorted_by_the_label_is_shuffled_and_says_so() -> None:
    y = np.concatenate([np.ones(100), np.zeros(2000)])

    split = cut(np.arange(2100.0), y, source="row order")

    assert min(y[rows].sum() for rows in (split.train, split.validate, split.test)) >= 5
    assert "sorted by the label" in split.notes[0]
