"""The newest edition as a bundle like any other: compiled, explained, with golden rows, ready for the gate."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from sklearn import __version__ as sklearn_version

from ml.bundle import Bundle, BundleContents, save_bundle
from ml.calibration import Sigmoid, fit_sigmoid
from ml.decisions import Thresholds
from ml.drift import reference as drift_reference
from ml.evaluation.calibration_curve import brier, log_loss
from ml.evaluation.cost import CostModel, best_thresholds, outcome
from ml.features.compiled import Floats
from ml.incremental.edition import LEAST_FRAUDS, TREES_UNTIL
from ml.incremental.learner import State
from ml.incremental.lessons import Lessons
from ml.incremental.prequential import accuracy
from ml.registry import StoredBundle
from ml.training.selection import ENOUGH_FRAUDS
from ml.training.train import GOLDEN_ROWS

ALIAS: Final = "incremental"
COSTS: Final = CostModel()


@dataclass(frozen=True, slots=True)
class _Judged:
    """Matured lessons that an edition scored when they were decisions; `weight`: (n,); `raw`: (n,) log-odds then."""

    lessons: Lessons
    weight: Floats

    @property
    def raw(self) -> Floats:
        return self.lessons.score


def publish(state: State, champion: Bundle, schema_text: str, model_dir: Path, *, now: datetime) -> StoredBundle | None:
    """Save the newest edition as a bundle; None while too few of its decisions have met their labels to calibrate on.

    `champion`: the bundle whose trees the edition has. Calibration and thresholds come from the prequential scores: no
    lesson had gone into its own.

    Raises:
        BundleRefused: the compiled model differs from scikit-learn's; nothing was written.
    """
    judged = _judged(state)
    if judged.lessons.y.sum() < LEAST_FRAUDS or (judged.lessons.y == 0).sum() < LEAST_FRAUDS:
        return None
    X = state.memory.lessons.shown(champion.spec, champion.featurizer.vocabularies)
    contents, sigmoid = _contents(state, champion, schema_text, judged, X, now)
    version = f"{champion.schema.name}-{ALIAS}-{now:%Y%m%d%H%M%S}-{uuid.uuid4().hex[:8]}"
    attachments = {
        "report.json": json.dumps(_report(state, champion, judged, sigmoid, contents), indent=2).encode(),
        drift_reference.FILE: drift_reference.encode(_reference(contents, champion, judged, sigmoid)),
    }
    digest = save_bundle(model_dir / version, contents, golden_rows=_golden_rows(X), attachments=attachments)
    return StoredBundle(version, digest, version, champion.schema.digest)


def newest_lesson_s(state: State) -> float:
    """Event time of the newest lesson in the memory, Unix seconds."""
    return float(state.memory.lessons.times.max())


def _judged(state: State) -> _Judged:
    lessons, weight = state.memory.matured()
    scored = np.isfinite(lessons.score)
    return _Judged(lessons.take(scored), weight[scored])


def _contents(
    state: State, champion: Bundle, schema_text: str, judged: _Judged, X: Floats, now: datetime
) -> tuple[BundleContents, Sigmoid]:
    edition, trees = state.editions[-1], champion.contents.pipeline
    slope = 1.0 if trees is None else edition.base * champion.contents.calibrator.slope
    sigmoid = _sigmoid(judged)
    contents = BundleContents(
        schema_text=schema_text,
        history_events=champion.contents.history_events,
        vocabularies=champion.contents.vocabularies,
        pipeline=trees,
        linear=edition.linear(X, _code_counts(champion)),
        linear_share=1 / slope,
        calibrator=Sigmoid(sigmoid.slope * slope, sigmoid.intercept),
        thresholds=_thresholds(judged, sigmoid),
        typical=_typical(X),
        metadata=_metadata(state, champion, now),
    )
    return contents, sigmoid


def _sigmoid(judged: _Judged) -> Sigmoid:
    """What prequential scores call for; nothing with few frauds: the head learns by log-loss, so its level is right."""
    has_enough = judged.lessons.y.sum() >= ENOUGH_FRAUDS
    return fit_sigmoid(judged.raw, judged.lessons.y, judged.weight) if has_enough else Sigmoid()


def _code_counts(champion: Bundle) -> dict[int, int]:
    vocabularies, columns = champion.featurizer.vocabularies, champion.spec.columns
    return {columns.index(name): len(vocabularies[name]) for name in champion.spec.categories}


def _thresholds(judged: _Judged, sigmoid: Sigmoid) -> Thresholds:
    probability, y = sigmoid(judged.raw), judged.lessons.y
    fraud = y if y.sum() >= ENOUGH_FRAUDS else probability
    return best_thresholds(fraud, probability, _amounts(judged), COSTS, judged.weight)


def _amounts(judged: _Judged) -> Floats:
    return COSTS.amounts(judged.lessons.amount, len(judged.lessons))


def _metadata(state: State, champion: Bundle, now: datetime) -> dict[str, Any]:
    about = champion.metadata
    return {
        "trained_at": now.isoformat(timespec="seconds"),
        "scikit_learn": sklearn_version,
        "winner": ALIAS,
        "champion": champion.model_version,
        "edition": state.editions[-1].number,
        "trained_until_s": newest_lesson_s(state),
        TREES_UNTIL: about.get(TREES_UNTIL, about.get("trained_until_s")),
    }


def _report(
    state: State, champion: Bundle, judged: _Judged, sigmoid: Sigmoid, contents: BundleContents
) -> dict[str, Any]:
    """What training reports, as far as it applies; the test window are the decisions that met their labels."""
    edition = state.editions[-1]
    return {
        "schema": champion.schema.name,
        "alias": ALIAS,
        "rows": len(state.memory.lessons),
        "columns": len(champion.spec.columns),
        "winner": {
            "name": ALIAS,
            "champion": champion.model_version,
            "edition": edition.number,
            "base": edition.base,
            "linear_share": contents.linear_share,
        },
        "thresholds": asdict(contents.thresholds),
        "test": _figures(state, judged, sigmoid, contents.thresholds),
        "prequential": [msgspec.to_builtins(state.record[week]) for week in sorted(state.record)],
        "warnings": [],
        "loses_money": False,
        "notes": [f"genuine lessons thinned to {state.memory.share:g}"] if state.memory.share < 1 else [],
    }


def _figures(state: State, judged: _Judged, sigmoid: Sigmoid, thresholds: Thresholds) -> dict[str, Any]:
    """Figures over everything in the memory that was scored in its time. Counts only while nothing is thinned."""
    y, probability = judged.lessons.y, sigmoid(judged.raw)
    ranks = accuracy(y, judged.raw, judged.weight)
    figures: dict[str, Any] = {
        "average_precision": {"value": ranks.average_precision},
        "roc_auc": {"value": ranks.roc_auc},
        "base_rate": float(np.average(y, weights=judged.weight)),
        "mean_probability": float(np.average(probability, weights=judged.weight)),
        "k": 0,
        "precision_at_k": None,
        "card_precision_at_k": None,
    }
    if state.memory.share < 1:
        return figures
    result = outcome(y, probability, _amounts(judged), thresholds, COSTS)
    counts = asdict(result) | {"share_of_perfect": result.share_of_perfect}
    return figures | {"brier": brier(y, probability), "log_loss": log_loss(y, probability), "outcome": counts}


def _reference(
    contents: BundleContents, champion: Bundle, judged: _Judged, sigmoid: Sigmoid
) -> drift_reference.Reference:
    lessons = judged.lessons.take(np.argsort(judged.lessons.times, kind="stable"))
    spec = champion.spec
    X = lessons.shown(spec, champion.featurizer.vocabularies)
    impact = np.abs(Bundle(contents, model_version="", digest="").contributions(X[:2000])).mean(axis=0)
    return drift_reference.make_reference(
        X,
        sigmoid(lessons.score),
        names=spec.columns,
        days=(lessons.times // 86_400).astype(np.int64),
        sent={
            spec.columns.index(name): np.array([text is not None for text in lessons.texts[name]])
            for name in spec.categories
        },
        importances={name: float(impact[place]) for place, name in enumerate(spec.columns)},
    )


def _typical(X: Floats) -> Floats:
    """(p,) medians; NaN for columns that are always missing."""
    seen = ~np.isnan(X).all(axis=0)
    typical = np.full(X.shape[1], np.nan)
    typical[seen] = np.nanmedian(X[:, seen], axis=0)
    return typical


def _golden_rows(X: Floats) -> Floats:
    """Lessons, some with gaps, one with nothing at all."""
    rng = np.random.default_rng(0)
    rows: Floats = X[rng.choice(len(X), min(GOLDEN_ROWS, len(X)), replace=False)]
    gaps = rng.random(rows.shape) < 0.3
    gaps[: len(rows) // 2] = False
    rows[gaps] = np.nan
    rows[-1] = np.nan
    return rows
