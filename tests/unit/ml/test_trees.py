"""The compiled forest is the scikit-learn model, bit for bit; its contributions are exact Shapley values."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from ml.trees import CompiledTrees, compile_trees

Floats = NDArray[np.float64]
N_FEATURES = 6
CATEGORY = 4
WIDE_CATEGORY = 5


def make_rows(n: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, N_FEATURES))
    X[:, CATEGORY] = rng.integers(0, 5, n)
    X[:, WIDE_CATEGORY] = rng.integers(0, 120, n)
    X[rng.random((n, N_FEATURES)) < 0.1] = np.nan
    return X


def make_model(categorical: list[int] | None, **options: object) -> HistGradientBoostingClassifier:
    X = make_rows(1500, seed=1)
    Z = np.nan_to_num(X)
    y = Z[:, 0] * Z[:, 1] + (Z[:, CATEGORY] % 2) + (Z[:, WIDE_CATEGORY] % 3) > 1.5
    settings = {"max_iter": 21, "max_depth": 5, "min_samples_leaf": 5, "early_stopping": False, **options}
    return HistGradientBoostingClassifier(categorical_features=categorical, **settings).fit(X, y)


@pytest.fixture(scope="module", params=[None, [CATEGORY, WIDE_CATEGORY]], ids=["numbers", "categories"])
def model(request: pytest.FixtureRequest) -> HistGradientBoostingClassifier:
    return make_model(request.param)


@pytest.fixture(scope="module")
def trees(model: HistGradientBoostingClassifier) -> CompiledTrees:
    return compile_trees(model)


def test_raw_scores_equal_scikit_learn_exactly(model: HistGradientBoostingClassifier, trees: CompiledTrees) -> None:
    X = make_rows(500, seed=2)

    assert np.array_equal(trees.raw_scores(X), model.decision_function(X))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300, -1.0, 2.5, 119.0, 120.0, 254.0, 1e9])
def test_odd_values_take_the_same_path_as_in_scikit_learn(
    model: HistGradientBoostingClassifier, trees: CompiledTrees, value: float
) -> None:
    X = make_rows(60, seed=3)
    refused_as_category = np.isinf(value) and model.is_categorical_ is not None
    for column in range(CATEGORY if refused_as_category else N_FEATURES):
        X[column * 10 : column * 10 + 10, column] = value

    assert np.array_equal(trees.raw_scores(X), model.decision_function(X))


def test_values_on_a_threshold_and_next_to_it_take_the_same_path(
    model: HistGradientBoostingClassifier, trees: CompiledTrees
) -> None:
    thresholds = np.unique(np.concatenate([iteration[0].nodes["num_threshold"] for iteration in model._predictors]))
    around = np.concatenate([thresholds, np.nextafter(thresholds, -np.inf), np.nextafter(thresholds, np.inf)])
    X = np.repeat(around[:, None], N_FEATURES, axis=1)

    assert np.array_equal(trees.raw_scores(X), model.decision_function(X))


def test_one_row_scores_like_the_same_row_in_a_batch(trees: CompiledTrees) -> None:
    X = make_rows(20, seed=4)

    single = [trees.raw_scores(row[None, :])[0] for row in X]

    assert single == trees.raw_scores(X).tolist()


def test_arrays_that_are_not_contiguous_score_the_same(trees: CompiledTrees) -> None:
    X = make_rows(20, seed=4)

    assert np.array_equal(trees.raw_scores(np.asfortranarray(X)), trees.raw_scores(X))


def test_contributions_and_bias_add_up_to_the_raw_score(trees: CompiledTrees) -> None:
    X = make_rows(50, seed=5)

    totals = trees.contributions(X).sum(axis=1) + trees.bias

    np.testing.assert_allclose(totals, trees.raw_scores(X), rtol=0, atol=1e-12)


def test_contributions_are_the_shapley_values_of_the_path_dependent_game() -> None:
    model = make_model(None, max_iter=3, max_depth=6, max_leaf_nodes=20)
    x = make_rows(8, seed=6)[3]

    computed = compile_trees(model).contributions(x[None, :])[0]

    np.testing.assert_allclose(computed, brute_force_shapley(model, x), rtol=0, atol=1e-12)


def test_a_single_leaf_forest_scores_its_baseline() -> None:
    X = make_rows(40, seed=7)
    constant = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=30, early_stopping=False)
    constant.fit(X, np.arange(40) % 2)

    compiled = compile_trees(constant)

    assert np.array_equal(compiled.raw_scores(X), constant.decision_function(X))
    assert not compiled.contributions(X).any()


def test_a_matrix_of_another_width_is_refused(trees: CompiledTrees) -> None:
    with pytest.raises(ValueError, match="fitted on"):
        trees.raw_scores(np.zeros((1, N_FEATURES + 1)))


def test_a_classifier_of_three_classes_is_refused() -> None:
    X = make_rows(90, seed=8)
    three = HistGradientBoostingClassifier(max_iter=2).fit(X, np.arange(90) % 3)

    with pytest.raises(ValueError, match="binary"):
        compile_trees(three)


def test_a_path_over_too_many_features_is_refused() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 12))
    deep = HistGradientBoostingClassifier(
        max_iter=1, max_leaf_nodes=300, min_samples_leaf=1, max_bins=16, early_stopping=False
    )
    deep.fit(X, X.sum(axis=1) + rng.normal(size=1500) > 0)

    with pytest.raises(ValueError, match="contributions allow"):
        compile_trees(deep)


def test_warm_compiles_without_changing_results(trees: CompiledTrees) -> None:
    X = make_rows(5, seed=9)
    before = trees.raw_scores(X)

    trees.warm()

    assert np.array_equal(before, trees.raw_scores(X))


def brute_force_shapley(model: HistGradientBoostingClassifier, x: Floats) -> Floats:
    """Shapley values by enumerating every coalition (Lundberg et al. 2018, algorithm 1)."""
    phi = np.zeros(len(x))
    for feature in range(len(x)):
        others = [f for f in range(len(x)) if f != feature]
        for size in range(len(x)):
            weight = math.factorial(size) * math.factorial(len(x) - size - 1) / math.factorial(len(x))
            for chosen in combinations(others, size):
                gain = expectation(model, x, {*chosen, feature}) - expectation(model, x, set(chosen))
                phi[feature] += weight * gain
    return phi


def expectation(model: HistGradientBoostingClassifier, x: Floats, known: set[int]) -> float:
    return sum(_tree_expectation(iteration[0].nodes, 0, x, known) for iteration in model._predictors)


def _tree_expectation(nodes: NDArray[np.void], index: int, x: Floats, known: set[int]) -> float:
    node = nodes[index]
    if node["is_leaf"]:
        return float(node["value"])
    left, right = int(node["left"]), int(node["right"])
    if int(node["feature_idx"]) in known:
        value = x[node["feature_idx"]]
        goes_left = node["missing_go_to_left"] if np.isnan(value) else value <= node["num_threshold"]
        return _tree_expectation(nodes, left if goes_left else right, x, known)
    share = nodes[left]["count"] / node["count"]
    on_left = _tree_expectation(nodes, left, x, known)
    return float(share * on_left + (1 - share) * _tree_expectation(nodes, right, x, known))
