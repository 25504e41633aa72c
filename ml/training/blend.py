"""Trees, the linear model, or both: what is served is what the validation window gives evidence for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.pipeline import Pipeline

from ml.evaluation.ranking import Ranked
from ml.features.compiled import Floats
from ml.linear_term import LinearTerm

SHARES: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
WORTH_IT: Final = 1.02
"""The blend must rank this much better than the trees alone to be worth its place on the hot path."""
EVIDENCE: Final = 3.84
"""Twice the log-likelihood that a part must add to the other: chi-squared with one degree of freedom, 5%."""


@dataclass(frozen=True, slots=True)
class Blend:
    """What is served: `trees` plus `share` times `linear`, in log-odds; not calibrated. One of them may be
    None.
    """

    trees: Pipeline | None
    linear: LinearTerm | None = None
    share: float = 0.0

    def decision_function(self, X: Floats) -> Floats:
        """(n, p) -> (n,) log-odds."""
        scores: Floats = np.zeros(len(X)) if self.trees is None else self.trees.decision_function(X)
        return scores if self.linear is None else scores + self.share * self.linear.scores(X)


def linear_alone(linear: LinearTerm) -> Blend:
    """The linear model as the served one."""
    return Blend(None, linear, 1.0)


def choose_blend(
    trees: Pipeline, linear: LinearTerm, X: Floats, y: Floats, weight: Floats | None = None, *, enough_frauds: int
) -> Blend:
    """Trees, both or the linear model alone, by the validation window.

    The linear model serves alone when the trees add nothing to it that is more than chance, or when it ranks
    as well. The share is the one with the best average precision; with fewer than `enough_frauds` the most
    likely one, because a best rank among few frauds is an accident; none when the trees do as well alone.
    `weight`: (n,) how many payments each row stands for; None: one each.
    """
    tree_scores, linear_scores = trees.decision_function(X), linear.scores(X)
    evidence = weigh_evidence(tree_scores, linear_scores, y, weight)
    if evidence.for_trees < EVIDENCE:
        return linear_alone(linear)
    if y.sum() < enough_frauds:
        return Blend(trees, linear, evidence.share) if evidence.for_linear >= EVIDENCE else Blend(trees)
    return _best_ranked(trees, linear, {"trees": tree_scores, "linear": linear_scores}, y, weight)


def _best_ranked(
    trees: Pipeline, linear: LinearTerm, scores: dict[str, Floats], y: Floats, weight: Floats | None
) -> Blend:
    def precision(score: Floats) -> float:
        return Ranked(y, score).average_precision(weight)

    ranked = {share: precision(scores["trees"] + share * scores["linear"]) for share in SHARES}
    best = max(SHARES, key=lambda share: ranked[share])
    alone = precision(scores["trees"])
    if precision(scores["linear"]) >= max(alone, ranked[best]):
        return linear_alone(linear)
    return Blend(trees) if ranked[best] < WORTH_IT * alone else Blend(trees, linear, best)


@dataclass(frozen=True, slots=True)
class Evidence:
    """`for_trees`, `for_linear`: twice the log-likelihood that each adds to the other (likelihood ratio);
    `share`: of `SHARES`, the one nearest to the most likely weight of the linear part beside the trees.
    """

    for_trees: float
    for_linear: float
    share: float


def weigh_evidence(trees: Floats, linear: Floats, y: Floats, weight: Floats | None = None) -> Evidence:
    """Stack both scores, (n,) log-odds each, in a logistic regression with weights of at least 0.

    `weight`: (n,) how many payments each row stands for; None: one each.
    """
    each = np.ones(len(y)) if weight is None else weight
    both, weights = _fit(np.column_stack([trees, linear]), y, each)
    trees_only, _ = _fit(trees[:, None], y, each)
    linear_only, _ = _fit(linear[:, None], y, each)
    ratio = weights[1] / max(weights[0], 1e-9)
    share = min(SHARES, key=lambda one: abs(np.log(one) - np.log(max(ratio, 1e-9))))
    return Evidence(2 * max(linear_only - both, 0.0), 2 * max(trees_only - both, 0.0), share)


def _fit(scores: Floats, y: Floats, each: Floats) -> tuple[float, Floats]:
    """Least negative log-likelihood of `y` given weights (at least 0) and an intercept; and the weights."""
    scale = np.maximum(scores.std(axis=0), 1e-12)
    columns = np.column_stack([(scores - scores.mean(axis=0)) / scale, np.ones(len(y))])
    share = float(np.average(y, weights=each))
    start = np.append(np.zeros(scores.shape[1]), np.log(share / (1 - share)))
    bounds = [(0.0, None)] * scores.shape[1] + [(None, None)]
    found = minimize(_loss, start, args=(columns, y, each), jac=True, method="L-BFGS-B", bounds=bounds)
    weights: Floats = found.x[:-1] / scale
    return float(found.fun) * float(each.sum()), weights


def _loss(parameters: Floats, columns: Floats, y: Floats, each: Floats) -> tuple[float, Floats]:
    """Mean cross-entropy and its gradient."""
    z = columns @ parameters
    loss = float(np.average(np.logaddexp(0, z) - y * z, weights=each))
    return loss, columns.T @ (each * (expit(z) - y)) / each.sum()
