"""The parts of training that have rules of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from config.errors import ModelRefused
from config.schema.load import parse_schema
from ml.evaluation.bootstrap import Interval
from ml.evaluation.ranking import Ranked
from ml.features.spec import FeatureSpec
from ml.linear_term import read_linear
from ml.training import selection
from ml.training.baseline import fit_linear
from ml.training.blend import choose_blend
from ml.training.candidates import CANDIDATES, Candidate, fit_candidate, pick_rows, shrink, training_rows
from ml.training.data import label_frame
from ml.training.dataset import Dataset, make_dataset
from ml.training.judging import Judgement, require_servable
from ml.training.target_rates import fit_rate

TINY = Candidate("tiny", 5, 0.3, 4, 1.0, 5)
SCHEMA = parse_schema(
    """
name = "tiny"
version = 1
mask_history_share = 0.5
[roles]
amount = "amount"
label = "fraud"
entities = { account = "account" }
[fields.amount]
type = "number"
[fields.empty]
type = "number"
missing = true
[fields.constant]
type = "number"
[fields.shop]
type = "category"
[fields.account]
type = "id"
[features.account_count]
entity = "account"
aggregate = "count"
default = 0
"""
)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    rng = np.random.default_rng(0)
    n = 1500
    frame = pd.DataFrame(
        {
            "amount": rng.lognormal(3, 1, n),
            "empty": np.nan,
            "constant": 1.0,
            "shop": [f"s{code}" for code in rng.integers(0, 300, n)],
            "account": rng.integers(0, 40, n).astype(str),
        }
    )
    frame.loc[5, "amount"] = np.inf
    frame["fraud"] = ((frame["amount"] > 60) & (rng.random(n) < 0.7)).astype(int)
    return make_dataset(label_frame(frame, SCHEMA), FeatureSpec.from_schema(SCHEMA), label_delay_s=0)


def test_every_candidate_is_regularised_and_shallow_enough_to_explain() -> None:
    assert all(candidate.l2 >= 1 and candidate.leaves <= 31 for candidate in CANDIDATES)


def test_awkward_columns_do_not_stop_a_fit(dataset: Dataset) -> None:
    rng = np.random.default_rng(0)
    rows = training_rows(dataset, pick_rows(dataset, good_per_fraud=None, most=None, rng=rng), rng)

    model = fit_candidate(dataset, rows, TINY, seed=0)

    assert np.isfinite(model.decision_function(dataset.X)).all()
    assert model[0].sources == (0, dataset.spec.columns.index("shop"))


def test_infinite_values_are_missing(dataset: Dataset) -> None:
    assert not np.isinf(dataset.X).any()


def test_history_is_hidden_for_the_declared_share_of_training_rows_only(dataset: Dataset) -> None:
    rng = np.random.default_rng(0)
    column = dataset.spec.columns.index("account_count")

    rows = training_rows(dataset, dataset.split.train, rng)

    assert np.isnan(rows.X[:, column]).mean() == pytest.approx(0.5, abs=0.06)
    assert not np.isnan(dataset.X[:, column]).any()


def test_thinning_keeps_every_fraud(dataset: Dataset) -> None:
    frauds = int(dataset.y[dataset.split.train].sum())

    rows = pick_rows(dataset, good_per_fraud=2, most=None, rng=np.random.default_rng(0))

    assert int(dataset.y[rows].sum()) == frauds
    assert len(rows) == 3 * frauds


def test_vocabularies_are_learnt_from_the_training_window_only(dataset: Dataset) -> None:
    shop = dataset.spec.columns.index("shop")
    known = len(dataset.vocabularies["shop"])

    assert known == len(np.unique(dataset.X[dataset.split.train, shop]))
    assert known < 300


def test_leaves_shrink_with_few_frauds() -> None:
    assert shrink(CANDIDATES[0], 1000).leaf_rows == CANDIDATES[0].leaf_rows
    assert shrink(CANDIDATES[0], 50).leaf_rows == 10
    assert shrink(CANDIDATES[0], 20).leaf_rows == 5


def test_a_training_row_does_not_see_its_own_label() -> None:
    # One fraud in a category of its own: its out-of-fold rate knows nothing about it, the serving rate does.
    codes = np.concatenate([[1.0], np.zeros(99), [np.nan]])
    y = np.concatenate([[1.0], np.zeros(100)])

    fitted = fit_rate(codes, y, source=0, n_codes=2)

    assert fitted.rate.rates[1] > fitted.out_of_fold[0] == pytest.approx(y.mean())
    assert fitted.rate.rates[2] == pytest.approx(y.mean(), rel=0.05)


def test_a_rate_counts_each_payment_as_often_as_it_stands_for() -> None:
    codes, y = np.tile([0.0, 1.0], 50), np.tile([0.0, 0.0, 1.0, 1.0], 25)
    weight = np.where(y > 0, 10.0, 1.0)

    fitted = fit_rate(codes, y, source=0, n_codes=2, weight=weight)

    assert fitted.rate.rates[:2] == pytest.approx([10 / 11, 10 / 11])


def test_candidates_that_the_time_does_not_allow_are_named(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "BUDGET_S", -1.0)

    found = selection.select_model(
        dataset,
        (TINY, replace(TINY, name="other")),
        dataset.X[dataset.split.validate],
        seed=0,
        say=lambda _: None,
    )

    assert found.candidate == TINY
    assert [trial.name.split(" +")[0] for trial in found.trials] == ["linear baseline", "tiny", "final: tiny"]
    assert "other" in found.notes[0]


def judged(auc: Interval, gain: Interval) -> Judgement:
    fields = dict.fromkeys(Judgement.__dataclass_fields__, 0.0)
    return Judgement(**{**fields, "roc_auc": auc, "gain": gain, "average_precision": auc})  # type: ignore[arg-type]


GOOD = Interval(0.9, 0.85, 0.95)


@pytest.mark.parametrize(
    ("auc", "gain", "message"),
    [
        (GOOD, Interval(-0.02, -0.03, -0.01, 0.9), "loses to the linear baseline"),
        (GOOD, Interval(-0.06, -0.2, 0.1, 0.9), "loses to the linear baseline"),
        (Interval(0.51, 0.45, 0.56), Interval(0.0, -0.1, 0.1, 0.9), "no better than guessing"),
    ],
)
def test_a_model_that_must_not_serve_is_refused_with_its_figures(auc: Interval, gain: Interval, message: str) -> None:
    with pytest.raises(ModelRefused, match=message) as refusal:
        require_servable(judged(auc, gain))

    assert "0." in str(refusal.value)


@pytest.mark.parametrize("gain", [Interval(0.1, 0.05, 0.2), Interval(-0.01, -0.05, 0.03)])
def test_a_model_that_does_not_clearly_lose_may_serve(gain: Interval) -> None:
    require_servable(judged(GOOD, gain))


def test_the_linear_term_is_the_baseline_it_was_read_from(dataset: Dataset) -> None:
    rng = np.random.default_rng(0)
    rows = training_rows(dataset, dataset.split.train, rng)
    linear = fit_linear(dataset, rows, seed=0)

    term = read_linear(linear, rows.X, dataset.categories)

    X = dataset.X[dataset.split.test].copy()
    X[:20] = np.nan
    X[20:40, 0] = 1e12
    np.testing.assert_allclose(term.scores(X), term.reference(X), rtol=0, atol=1e-9)
    np.testing.assert_allclose(term.scores(rows.X), linear.decision_function(rows.X), rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        term.contributions(X).sum(axis=1),
        term.scores(X) - term.constant - term.usual.sum(),
        rtol=0,
        atol=1e-9,
    )


def test_a_linear_share_is_added_only_where_it_ranks_clearly_better(dataset: Dataset) -> None:
    rng = np.random.default_rng(1)
    rows = training_rows(dataset, dataset.split.train, rng)
    trees = fit_candidate(dataset, rows, TINY, seed=0)
    X, y = dataset.X[dataset.split.validate], dataset.y[dataset.split.validate]
    term = read_linear(fit_linear(dataset, rows, seed=0), rows.X, dataset.categories)

    blend = choose_blend(trees, term, X, y)

    alone = Ranked(y, trees.decision_function(X)).average_precision()
    blended = Ranked(y, blend.decision_function(X)).average_precision()
    assert blended >= 1.02 * alone if blend.linear else blended == alone
