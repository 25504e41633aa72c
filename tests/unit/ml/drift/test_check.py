"""A check finds what was put in, says where, and nothing else."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from ml.drift.check import FEWEST_ROWS, Window, benjamini_hochberg, check_drift
from ml.drift.picture import plot_drift
from ml.drift.reference import Reference, encode, make_reference
from ml.drift.report import DriftReport
from tests.drift_traffic import ABOUT

NAMES = ("amount", "category", "count")
DAYS, PER_DAY = 30, 400


def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X, score and whether a category was sent, of rows that have nothing in common."""
    category = rng.choice(4, n, p=[0.5, 0.3, 0.15, 0.05]).astype(float)
    is_sent = rng.random(n) < 0.98
    category[~is_sent] = np.nan
    X = np.column_stack([rng.lognormal(3, 1, n), category, rng.poisson(3, n)])
    X[rng.random(n) < 0.1, 2] = np.nan
    return X, rng.beta(1, 30, n), is_sent


@pytest.fixture(scope="module")
def reference() -> Reference:
    X, score, is_sent = draw(np.random.default_rng(0), DAYS * PER_DAY)
    days = np.repeat(np.arange(DAYS), PER_DAY)
    importances = {"amount": 3.0, "category": 1.0}
    return make_reference(X, score, names=NAMES, days=days, sent={1: is_sent}, importances=importances)


def window(seed: int = 1, n: int = 1000) -> Window:
    X, score, is_sent = draw(np.random.default_rng(seed), n)
    return Window(X, score, np.full(n, 100), {1: is_sent})


def findings(report: DriftReport) -> dict[str, list[str]]:
    found = {column.name: list(column.findings) for column in report.columns if column.findings}
    return found | ({"score": list(report.score.findings)} if report.score and report.score.findings else {})


def test_windows_like_the_reference_are_stable(reference: Reference) -> None:
    reports = [check_drift(reference, window(seed), ABOUT) for seed in range(100)]

    assert sum(report.status != "stable" for report in reports) <= 3
    assert reports[0].rows == 1000
    assert reports[0].false_alarm_rate == 0.01
    assert {column.name for column in reports[0].columns} == set(NAMES)


def test_a_shifted_column_is_named_and_comes_first(reference: Reference) -> None:
    shifted = window()
    shifted.X[:, 2] += 2

    report = check_drift(reference, shifted, ABOUT)

    assert findings(report) == {"count": ["distribution"]}
    assert (report.status, report.drifting, report.columns[0].name) == ("drifting", ["count"], "count")
    assert report.importance_drifting == 0


def test_drift_of_what_matters_to_the_model_is_strong(reference: Reference) -> None:
    shifted = window()
    shifted.X[:, 0] *= 3

    report = check_drift(reference, shifted, ABOUT)

    assert (report.status, report.importance_drifting) == ("strong", 0.75)


def test_drift_of_the_score_is_strong(reference: Reference) -> None:
    shifted = window()
    shifted.score[:] = np.sqrt(shifted.score)

    report = check_drift(reference, shifted, ABOUT)

    assert report.status == "strong"
    assert findings(report) == {"score": ["distribution", "outside"]}


def test_more_missing_unknown_and_out_of_range_values_are_told_apart(reference: Reference) -> None:
    rng = np.random.default_rng(5)
    spoiled = window()
    spoiled.X[rng.random(1000) < 0.08, 0] = 1e7
    spoiled.X[rng.random(1000) < 0.06, 1] = np.nan
    spoiled.X[rng.random(1000) < 0.2, 2] = np.nan

    report = check_drift(reference, spoiled, ABOUT)

    quality = {
        name: [finding for finding in found if finding != "distribution"] for name, found in findings(report).items()
    }
    assert quality == {"amount": ["outside"], "category": ["unknown"], "count": ["missing"]}
    category = next(column for column in report.columns if column.name == "category")
    assert category.unknown is not None
    assert (category.unknown.reference, category.unknown.window) == (0.0, pytest.approx(0.06, abs=0.02))


def test_fewer_missing_values_are_no_loss_of_quality(reference: Reference) -> None:
    better = window()
    better.X[:, 2] = np.nan_to_num(better.X[:, 2], nan=3)

    assert "missing" not in findings(check_drift(reference, better, ABOUT)).get("count", [])


def test_too_few_decisions_are_said_and_not_judged(reference: Reference) -> None:
    report = check_drift(reference, window(n=FEWEST_ROWS - 1), ABOUT)

    assert report.status == "too few decisions"
    assert "499 decisions by this model in the window, 500 are needed" in report.detail
    assert (report.score, report.columns) == (None, [])


def test_data_without_a_clock_is_compared_in_chunks(reference: Reference) -> None:
    X, score, is_sent = draw(np.random.default_rng(0), 12_000)
    chunked = make_reference(X, score, names=NAMES, days=None, sent={1: is_sent}, importances={})
    shifted = window()
    shifted.X[:, 0] *= 5

    assert not chunked.by_day
    assert check_drift(chunked, window(), ABOUT).status == "stable"
    assert check_drift(chunked, shifted, ABOUT).drifting == ["amount"]


def test_a_reference_and_a_report_survive_json(reference: Reference) -> None:
    report = check_drift(reference, window(), ABOUT)

    assert msgspec.json.decode(encode(reference), type=Reference) == reference
    assert msgspec.convert(msgspec.to_builtins(report), DriftReport) == report
    assert b"null" not in msgspec.json.encode(report).replace(b'"unknown":null', b"").replace(b'"outside":null', b"")


def test_the_picture_is_a_png_and_needs_a_comparison(reference: Reference) -> None:
    assert plot_drift(check_drift(reference, window(), ABOUT)).startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="nothing was compared"):
        plot_drift(ABOUT)


@pytest.mark.parametrize(
    ("p_values", "rejected"),
    [
        ([0.5, 0.6], [False, False]),
        ([0.001, 0.6, 0.03], [True, False, True]),
        ([0.04, 0.045, 0.05], [True, True, True]),
        ([], []),
    ],
)
def test_benjamini_and_hochberg_compare_with_a_rising_bound(p_values: list[float], rejected: list[bool]) -> None:
    assert benjamini_hochberg(np.array(p_values), 0.05).tolist() == rejected
