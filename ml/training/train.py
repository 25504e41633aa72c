"""Training, from a labelled frame to a published bundle: split, choose, calibrate, set thresholds, judge,
save.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn import __version__ as sklearn_version

from config.errors import ModelRefused
from config.schema.load import parse_schema
from ml.bundle import Bundle, BundleContents, load_bundle, save_bundle
from ml.calibration import Sigmoid, fit_sigmoid
from ml.decisions import Thresholds
from ml.drift import reference as drift_reference
from ml.evaluation.cost import CostModel, best_thresholds
from ml.features.compiled import Floats
from ml.features.frame import mask_history
from ml.features.spec import FeatureSpec
from ml.training.candidates import CANDIDATES, Candidate
from ml.training.data import LabelledData
from ml.training.dataset import Dataset, make_dataset
from ml.training.doubts import find_doubts
from ml.training.judging import Judgement, falls_behind, judge, require_servable
from ml.training.plots import plot_calibration, plot_precision_recall
from ml.training.reference import reference_of
from ml.training.report import Report, explain_refusal, make_report, to_markdown
from ml.training.selection import ENOUGH_FRAUDS, Say, Selection, select_model
from ml.training.served import ServedRows
from ml.training.split import is_wall_clock

GOLDEN_ROWS: Final = 64
MOST_IMPORTANT: Final = 20


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """How to train. `label_delay_s`: how long labels take to arrive. `seed` makes a run repeatable.

    `is_simulated`: the data's dates say nothing about when anything happened.
    """

    label_delay_s: float
    history_events: int = 128
    seed: int = 0
    costs: CostModel = field(default_factory=CostModel)
    candidates: Sequence[Candidate] = CANDIDATES
    is_simulated: bool = False


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """A published bundle and what is known about it."""

    model_version: str
    digest: str
    directory: Path
    report: Report
    bundle: Bundle


def train(
    schema_text: str,
    data: LabelledData | ServedRows,
    model_dir: Path,
    options: TrainingOptions,
    *,
    now: datetime,
    say: Say,
) -> TrainingResult:
    """Train a model and publish its bundle under `model_dir`. `say` is told what is being done, step by step.

    From a file, features are replayed; rows out of the ledger bring theirs along.

    Raises:
        ModelRefused: too few frauds, no better than guessing, or worse than the linear baseline; nothing is
        published, and the message has what was tried and what can be done.
        InvalidTransaction: a column holds what its field's type does not allow.
        SchemaInvalid: the schema text has mistakes.
    """
    started = time.perf_counter()
    schema = parse_schema(schema_text)
    spec = FeatureSpec.from_schema(schema, options.history_events)
    say(f"computing {len(spec.columns)} columns for {len(data.y):,} rows")
    dataset = _dataset(data, spec, options)
    validation_X = _as_served(dataset, options.seed)
    selection = select_model(dataset, options.candidates, validation_X, seed=options.seed, say=say)
    say("calibrating, setting thresholds, judging on the test window")
    judged = _judge(dataset, selection, validation_X, options)
    if selection.model.trees is not None and falls_behind(judged.judgement):
        judged = _judge(dataset, selection.without_trees(_why_linear(judged.judgement)), validation_X, options)
    _require_servable(judged)
    contents = _contents(schema_text, dataset, judged, options, now)
    say("writing the bundle")
    importances = _importances(contents, dataset, options.seed)
    reference = reference_of(contents, dataset, data.frame, importances)
    report = make_report(
        dataset,
        judged.selection,
        judged.judgement,
        judged.thresholds,
        importances=dict(list(importances.items())[:MOST_IMPORTANT]),
        doubts=find_doubts(dataset, judged.judgement),
        notes=data.notes,
        seconds=time.perf_counter() - started,
    )
    attachments = {
        **_report_files(dataset, report, judged.judgement, judged.scores),
        drift_reference.FILE: drift_reference.encode(reference),
    }
    return _publish(contents, dataset, report, attachments, model_dir=model_dir, now=now, seed=options.seed)


def _dataset(data: LabelledData | ServedRows, spec: FeatureSpec, options: TrainingOptions) -> Dataset:
    if isinstance(data, ServedRows):
        return data.dataset()
    return make_dataset(data, spec, label_delay_s=options.label_delay_s)


def _trained_until_s(dataset: Dataset) -> float | None:
    """Event time of the newest row that fitting, calibration or thresholds looked at; None without a real clock."""
    if not is_wall_clock(dataset.times) or dataset.clock != "event time":
        return None
    return float(max(dataset.times[dataset.split.train].max(), dataset.times[dataset.split.validate].max()))


@dataclass(frozen=True, slots=True)
class _Judged:
    """A choice with its calibration, its thresholds and its figures; `scores`: of the test window, by model."""

    selection: Selection
    calibrator: Sigmoid
    thresholds: Thresholds
    judgement: Judgement
    scores: dict[str, Floats]


def _why_linear(judgement: Judgement) -> str:
    gain = judgement.gain
    return (
        f"the boosted model ranked worse than the linear one on the test window (average precision "
        f"{gain.value:+.4f}, {gain.low:+.4f} to {gain.high:+.4f} at 90%), so the linear one serves; that window was "
        "looked at twice"
    )


def _require_servable(judged: _Judged) -> None:
    try:
        require_servable(judged.judgement)
    except ModelRefused as refusal:
        raise ModelRefused(explain_refusal(refusal.detail, judged.selection.trials)) from None


def _contents(
    schema_text: str,
    dataset: Dataset,
    judged: _Judged,
    options: TrainingOptions,
    now: datetime,
) -> BundleContents:
    model = judged.selection.model
    return BundleContents(
        schema_text=schema_text,
        history_events=options.history_events,
        vocabularies=dataset.vocabularies,
        pipeline=model.trees,
        linear=model.linear,
        linear_share=model.share,
        calibrator=judged.calibrator,
        thresholds=judged.thresholds,
        typical=_typical(dataset, options.seed),
        metadata={
            "trained_at": now.isoformat(timespec="seconds"),
            "scikit_learn": sklearn_version,
            "seed": options.seed,
            "winner": judged.selection.winner,
            "average_precision": judged.judgement.average_precision.value,
            "trained_until_s": None if options.is_simulated else _trained_until_s(dataset),
        },
    )


def _as_served(dataset: Dataset, seed: int) -> Floats:
    """X of the validation window; as many rows as the schema says come without history."""
    X = dataset.X[dataset.split.validate]
    share = dataset.spec.schema.mask_history_share
    if share:
        mask_history(X, dataset.spec, share, np.random.default_rng(seed + 1))
    return X


def _calibrate(
    dataset: Dataset, selection: Selection, validation_X: Floats, costs: CostModel
) -> tuple[Sigmoid, Thresholds]:
    rows = dataset.split.validate
    y = dataset.y[rows]
    raw = selection.model.decision_function(validation_X)
    weight = dataset.weights(rows)
    calibrator = fit_sigmoid(raw, y, weight)
    probability = calibrator(raw)
    amount = costs.amounts(None if dataset.amount is None else dataset.amount[rows], len(y))
    fraud = y if y.sum() >= ENOUGH_FRAUDS else probability
    return calibrator, best_thresholds(fraud, probability, amount, costs, weight)


def _judge(dataset: Dataset, selection: Selection, validation_X: Floats, options: TrainingOptions) -> _Judged:
    """Calibrate and set thresholds on the validation window, then look at the test window."""
    calibrator, thresholds = _calibrate(dataset, selection, validation_X, options.costs)
    X = dataset.X[dataset.split.test]
    scores = {
        "model": selection.model.decision_function(X),
        "linear baseline": selection.linear.decision_function(X),
    }
    bare = None
    if dataset.spec.schema.mask_history_share:
        mask_history(X, dataset.spec, 1.0, np.random.default_rng(options.seed))
        bare = selection.model.decision_function(X)
    judgement = judge(
        dataset,
        raw=scores["model"],
        linear=scores["linear baseline"],
        calibrator=calibrator,
        thresholds=thresholds,
        costs=options.costs,
        without_history=bare,
        seed=options.seed,
    )
    return _Judged(selection, calibrator, thresholds, judgement, scores)


def _typical(dataset: Dataset, seed: int) -> Floats:
    """(p,) medians over a sample of the training window; NaN for columns that are always missing."""
    X = _sample(dataset.X, dataset.split.train, 50_000, seed)
    seen = ~np.isnan(X).all(axis=0)
    typical = np.full(X.shape[1], np.nan)
    typical[seen] = np.nanmedian(X[:, seen], axis=0)
    return typical


def _importances(contents: BundleContents, dataset: Dataset, seed: int) -> dict[str, float]:
    """Mean absolute contribution per feature over a sample of the test window, the strongest first."""
    bundle = Bundle(contents, model_version="", digest="")
    impact = np.abs(bundle.contributions(_sample(dataset.X, dataset.split.test, 2000, seed))).mean(axis=0)
    strongest = np.argsort(-impact)
    return {dataset.spec.columns[column]: round(float(impact[column]), 4) for column in strongest if impact[column] > 0}


def _sample(X: Floats, rows: Any, most: int, seed: int) -> Floats:
    if len(rows) > most:
        rows = np.random.default_rng(seed).choice(rows, most, replace=False)
    sampled: Floats = X[rows]
    return sampled


def _golden_rows(dataset: Dataset, seed: int) -> Floats:
    """Rows of the test window, some with gaps, one with nothing at all."""
    rows = _sample(dataset.X, dataset.split.test, GOLDEN_ROWS, seed).copy()
    gaps = np.random.default_rng(seed).random(rows.shape) < 0.3
    gaps[: len(rows) // 2] = False
    rows[gaps] = np.nan
    rows[-1] = np.nan
    return rows


def _report_files(
    dataset: Dataset, report: Report, judgement: Judgement, scores: dict[str, Floats]
) -> dict[str, bytes]:
    return {
        "report.json": json.dumps(report, indent=2).encode(),
        "calibration.png": plot_calibration(judgement.curve),
        "precision_recall.png": plot_precision_recall(dataset.y[dataset.split.test], scores),
    }


def _publish(
    contents: BundleContents,
    dataset: Dataset,
    report: Report,
    attachments: dict[str, bytes],
    *,
    model_dir: Path,
    now: datetime,
    seed: int,
) -> TrainingResult:
    name = dataset.spec.schema.name
    version = f"{name}-{now:%Y%m%d%H%M%S}-{uuid.uuid4().hex[:8]}"
    attachments = {**attachments, "report.md": to_markdown(report, version).encode()}
    directory = model_dir / version
    golden = _golden_rows(dataset, seed)
    held_back = report["loses_money"]
    digest = save_bundle(directory, contents, golden_rows=golden, attachments=attachments, held_back=held_back)
    bundle = load_bundle(directory, digest=digest, schema_digest=dataset.spec.schema.digest)
    return TrainingResult(version, digest, directory, report, bundle)
