"""The parts of training that have rules of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from config.errors import ModelRefused
from config.schema.load import parse_schema
from ml.bundle import Bundle, BundleContents, load_bundle, save_bundle
from ml.calibration import Sigmoid
from ml.decisions import Thresholds
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
from ml.training.judging import Judgement, falls_behind, require_servable
from ml.training.report import explain_refusal
from ml.training.selection import Trial
from ml.training.target_rates import fit_rate

TINY = Candidate("tiny", 5, 0.3, 4, 1.0, 5)
SCHEMA_TEXT = """
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
SCHEMA = parse_schema(SCHEMA_TEXT)


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
    assert [trial.name for trial in found.trials][:2] == ["linear baseline", "tiny"]
    assert len(found.trials) == 3
    assert "other" in found.notes[0]


def test_large_trees_are_tried_with_many_frauds_only(dataset: Dataset) -> None:
    frauds = int(dataset.y[dataset.split.train].sum())
    candidates = (TINY, replace(TINY, name="enough", min_frauds=frauds), replace(TINY, name="rare", min_frauds=9999))

    found = selection.select_model(dataset, candidates, dataset.X[dataset.split.validate], seed=0, say=lambda _: None)

    assert [trial.name for trial in found.trials][:3] == ["linear baseline", "tiny", "enough"]
    assert len(found.trials) == 4
    assert found.notes == []


def judged(auc: Interval, gain: Interval, linear: float = 0.0) -> Judgement:
    fields = dict.fromkeys(Judgement.__dataclass_fields__, 0.0)
    known = {"roc_auc": auc, "gain": gain, "average_precision": auc, "linear_average_precision": linear}
    return Judgement(**{**fields, **known})  # type: ignore[arg-type]


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


def test_a_loss_that_is_certain_but_tiny_does_not_refuse_a_model() -> None:
    certain = Interval(-0.0035, -0.0093, -0.0006, 0.9)

    require_servable(judged(GOOD, certain, linear=0.0739))

    assert falls_behind(judged(GOOD, certain, linear=0.0739))
    with pytest.raises(ModelRefused, match="loses to the linear baseline"):
        require_servable(judged(GOOD, certain, linear=0.05))


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

    blend = choose_blend(trees, term, X, y, enough_frauds=1)

    alone = Ranked(y, trees.decision_function(X)).average_precision()
    blended = Ranked(y, blend.decision_function(X)).average_precision()
    assert blended >= 1.02 * alone if blend.linear else blended == alone


class Scores:
    """Something with given log-odds, in place of a fitted model."""

    def __init__(self, scores: np.ndarray) -> None:
        self._scores = scores

    def decision_function(self, _: np.ndarray) -> np.ndarray:
        return self._scores

    def scores(self, _: np.ndarray) -> np.ndarray:
        return self._scores


def drawn(*weights: float, n: int = 20_000) -> tuple[list[np.ndarray], np.ndarray]:
    """Independent scores, and labels whose log-odds are their weighted sum."""
    rng = np.random.default_rng(5)
    parts = [rng.normal(size=n) for _ in weights]
    log_odds = sum(weight * part for weight, part in zip(weights, parts, strict=True)) - 4.5
    return parts, (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(float)


@pytest.mark.parametrize("enough_frauds", [1, 10_000])
def test_trees_that_only_repeat_the_linear_model_with_noise_do_not_serve(enough_frauds: int) -> None:
    (truth, noise), y = drawn(1.0, 0.0)
    trees, linear = Scores(truth + 0.7 * noise), Scores(truth)

    blend = choose_blend(trees, linear, truth, y, enough_frauds=enough_frauds)  # type: ignore[arg-type]

    assert (blend.trees, blend.share) == (None, 1.0)
    np.testing.assert_array_equal(blend.decision_function(truth), truth)


def test_trees_that_know_everything_serve_alone() -> None:
    (truth, noise), y = drawn(1.5, 0.0)
    trees, linear = Scores(truth), Scores(0.5 * truth + noise)

    assert choose_blend(trees, linear, truth, y, enough_frauds=10_000).linear is None  # type: ignore[arg-type]


def test_with_few_frauds_the_share_is_the_most_likely_one() -> None:
    (stepped, straight), y = drawn(0.6, 1.2)
    trees, linear = Scores(stepped), Scores(straight)

    blend = choose_blend(trees, linear, stepped, y, enough_frauds=10_000)  # type: ignore[arg-type]

    assert blend.trees is not None
    assert blend.share == 2.0


def test_a_linear_model_is_a_bundle_like_any_other(dataset: Dataset, tmp_path: Path) -> None:
    rows = training_rows(dataset, dataset.split.train, np.random.default_rng(0))
    term = read_linear(fit_linear(dataset, rows, seed=0), rows.X, dataset.categories)
    contents = BundleContents(
        schema_text=SCHEMA_TEXT,
        history_events=128,
        vocabularies=dataset.vocabularies,
        pipeline=None,
        linear=term,
        linear_share=1.0,
        calibrator=Sigmoid(0.9, -0.2),
        thresholds=Thresholds(0.2, 0.8),
        typical=np.zeros(dataset.X.shape[1]),
    )
    X = dataset.X[dataset.split.test][:50]

    digest = save_bundle(tmp_path / "linear-1", contents, golden_rows=X)
    bundle = load_bundle(tmp_path / "linear-1", digest=digest)

    bundle.warm()
    np.testing.assert_allclose(bundle.score(X), bundle.reference(X), rtol=0, atol=1e-9)
    parts = bundle.contributions(X).sum(axis=1)
    np.testing.assert_allclose(parts - parts[0], logit(bundle.score(X)) - logit(bundle.score(X[:1])), atol=1e-6)
    with pytest.raises(ValueError, match="needs trees, a linear part, or both"):
        Bundle(replace(contents, linear=None), model_version="none", digest="")


def test_a_refusal_says_what_was_tried_and_what_to_do() -> None:
    said = explain_refusal("no better than guessing", [Trial("linear baseline", 0.0123, 0.51, 900, 1.0)])

    assert "nothing was published" in said
    assert "linear baseline" in said
    assert "0.0123" in said
    assert "--label-delay" in said
