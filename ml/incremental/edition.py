"""The model between two steps: the champion's trees, frozen, and a linear head beside them that learns.

The head begins as nothing (plus the champion's own linear part, if it has one), so the first edition says what the
champion says; partial_fit moves it from there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline

from ml.bundle import Bundle
from ml.features.compiled import Floats, Integers
from ml.incremental.memory import Memory, draw_plan
from ml.linear_term import LinearTerm, read_linear
from ml.training.baseline import linear_columns

RATE: Final = 0.003
PENALTY: Final = 1e-6
PASSES: Final = 12
DRAWN: Final = 4_000
"""Lessons per pass; measured with `RATE` in ADR 0022."""
FAR: Final = 8.0
"""Standard deviations from the mean beyond which a number is no further away."""
LEAST_BASE: Final = 0.05
TREES_UNTIL: Final = "trees_trained_until_s"
"""In a bundle's metadata: the newest row that the trees were fitted on, where the head has seen newer ones."""
LEAST_ROWS: Final = 500
LEAST_FRAUDS: Final = 20


@dataclass(frozen=True, slots=True)
class Encoder:
    """X as the head sees it: numbers kept inside `lowest` to `highest`, (p,), then `columns`, fitted."""

    columns: ColumnTransformer
    lowest: Floats
    highest: Floats

    def kept(self, X: Floats) -> Floats:
        """(n, p) with no number further out than when this was fitted."""
        inside: Floats = np.clip(X, self.lowest, self.highest)
        return inside

    def __call__(self, X: Floats) -> Floats:
        """(n, p) -> (n, q)."""
        encoded: Floats = self.columns.transform(self.kept(X))
        return encoded


@dataclass(frozen=True, slots=True)
class Edition:
    """Log-odds = `base` times those of the champion's trees + the head: `coef`, (q,), and `intercept`.

    `number` counts steps that learned. `since_s`: decisions made from then on are answered by it. `champion`: the
    bundle whose trees it has, by model version and digest.
    """

    number: int
    since_s: float
    champion: str
    digest: str
    encoder: Encoder
    base: float
    coef: Floats
    intercept: float

    def log_odds(self, bundle: Bundle, X: Floats) -> Floats:
        """(n, p) as shown to the champion -> (n,). `bundle`: the champion of this edition."""
        head: Floats = self.encoder(X) @ self.coef + self.intercept
        return self.base * tree_log_odds(bundle, X) + head

    def linear(self, X: Floats, categories: dict[int, int]) -> LinearTerm:
        """The head as bundles have it. `X`: (n, p) lessons, for what is usual; `categories`: column -> codes."""
        ends = np.vstack([self.encoder.lowest, self.encoder.highest])
        ends[:, sorted(categories)] = np.nan
        ends[np.isinf(ends)] = np.nan
        head = make_pipeline(self.encoder.columns, _classifier(self.coef, self.intercept))
        return read_linear(head, np.vstack([self.encoder.kept(X), ends]), categories)


def tree_log_odds(bundle: Bundle, X: Floats) -> Floats:
    """(n,) calibrated log-odds of the trees alone; zeros for a champion without trees."""
    scores: Floats = bundle.contents.calibrator.slope * bundle.tree_scores(X)
    return scores


def first_edition(bundle: Bundle, memory: Memory, *, number: int, since_s: float) -> Edition | None:
    """What the champion says, as an edition; None while the memory is too small to know what is usual."""
    lessons = memory.lessons
    if len(lessons) < LEAST_ROWS or lessons.y.sum() < LEAST_FRAUDS:
        return None
    X = lessons.shown(bundle.spec, bundle.featurizer.vocabularies)
    encoder = fit_encoder(X, [bundle.spec.columns.index(name) for name in bundle.spec.categories])
    coef, intercept = _head_of(bundle, encoder, X)
    return Edition(number, since_s, bundle.model_version, bundle.digest, encoder, 1.0, coef, intercept)


def fit_encoder(X: Floats, categories: list[int]) -> Encoder:
    """Scaling, medians and codes of these rows, (n, p)."""
    seen = ~np.isnan(X).all(axis=0)
    # A column that has been missing so far stays without effect: nothing is known of its scale.
    lowest, highest = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    centre, spread = np.nanmean(X[:, seen], axis=0), FAR * np.nanstd(X[:, seen], axis=0)
    lowest[seen] = np.maximum(np.nanmin(X[:, seen], axis=0), centre - spread)
    highest[seen] = np.minimum(np.nanmax(X[:, seen], axis=0), centre + spread)
    lowest[categories], highest[categories] = -np.inf, np.inf
    return Encoder(linear_columns(X.shape[1], categories).fit(np.clip(X, lowest, highest)), lowest, highest)


def _head_of(bundle: Bundle, encoder: Encoder, X: Floats) -> tuple[Floats, float]:
    """The champion's own linear part and level, told in the head's columns (ridge, so that any columns do)."""
    contents = bundle.contents
    Z = encoder(X)
    if contents.linear is None:
        return np.zeros(Z.shape[1]), contents.calibrator.intercept
    target = contents.calibrator.slope * contents.linear_share * contents.linear.scores(X)
    centre, mean = Z.mean(axis=0), float(target.mean())
    inner = (Z - centre).T @ (Z - centre) + np.eye(Z.shape[1]) * 1e-3 * len(Z)
    coef: Floats = np.linalg.solve(inner, (Z - centre).T @ (target - mean))
    return coef, contents.calibrator.intercept + mean - float(centre @ coef)


def learn(edition: Edition, bundle: Bundle, memory: Memory, *, since_s: float) -> Edition:
    """The next edition: `PASSES` times partial_fit on lessons drawn from the memory, and the mean over the passes.

    Lessons that the champion's trees were fitted on are left out: their scores look surer than they are. The same
    arguments give the same edition.
    """
    usable = _unseen_by(bundle, memory)
    if len(usable.lessons) < LEAST_ROWS or usable.lessons.y.sum() < LEAST_FRAUDS:
        return replace(edition, number=edition.number + 1, since_s=since_s)
    X = usable.lessons.shown(bundle.spec, bundle.featurizer.vocabularies)
    columns = np.column_stack([tree_log_odds(bundle, X), edition.encoder(X)])
    mean = _go_over(columns, usable, edition)
    base = max(float(mean[0]), LEAST_BASE)
    return replace(
        edition, number=edition.number + 1, since_s=since_s, base=base, coef=mean[1:-1], intercept=float(mean[-1])
    )


def _go_over(columns: Floats, memory: Memory, edition: Edition) -> Floats:
    """Coefficients and intercept, (q + 2,): the mean over the passes, each going on from the one before."""
    classifier = _classifier(np.append(edition.base, edition.coef), edition.intercept)
    chance, weight = draw_plan(memory)
    rng = np.random.default_rng(edition.number)
    found = []
    for _ in range(PASSES):
        rows: Integers = rng.choice(len(chance), min(DRAWN, len(chance)), p=chance)
        classifier.partial_fit(columns[rows], memory.lessons.y[rows], sample_weight=weight[rows])
        found.append(np.append(classifier.coef_[0], classifier.intercept_))
    mean: Floats = np.mean(found, axis=0)
    return mean


def _classifier(coef: Floats, intercept: float) -> SGDClassifier:
    """A classifier at these coefficients, ready for partial_fit."""
    classifier = SGDClassifier(loss="log_loss", alpha=PENALTY, learning_rate="constant", eta0=RATE, random_state=0)
    # partial_fit cannot be told where to begin: rows of zeros allocate, and what they taught is overwritten.
    classifier.partial_fit(np.zeros((2, len(coef))), np.array([0.0, 1.0]), classes=np.array([0.0, 1.0]))
    classifier.coef_[0], classifier.intercept_[0] = coef, intercept
    return classifier


def _unseen_by(bundle: Bundle, memory: Memory) -> Memory:
    about = bundle.metadata
    until_s = about.get(TREES_UNTIL, about.get("trained_until_s"))
    if until_s is None:
        return memory
    return replace(memory, lessons=memory.lessons.take(memory.lessons.times > until_s))
