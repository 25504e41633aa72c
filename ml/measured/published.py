"""The published protocol on the handbook's data, measured: four folds, and the model of one fold as a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from config.schema.load import parse_schema
from ml.bundle import BundleContents, save_bundle
from ml.features.spec import FeatureSpec
from ml.measured.figures import Figures, figures, mean_of
from ml.measured.fitting import Choice, choose, refit, scores
from ml.measured.handbook import DAY_S, DELAY_DAYS, FIRST_DAY, Fold, folds, make_fold
from ml.training.blend import Blend
from ml.training.candidates import CANDIDATES, Candidate
from ml.training.data import LabelledData, read_data
from ml.training.dataset import Dataset, make_dataset
from ml.training.selection import Say

HISTORY_EVENTS: Final = 128
GOLDEN_ROWS: Final = 64


@dataclass(frozen=True, slots=True)
class Folds:
    """`training_days` of each fold, the figures of each, the kind of model that was chosen before the first."""

    training_days: int
    chosen: str
    each: list[Figures]

    @property
    def mean(self) -> Figures:
        """Over the folds."""
        return mean_of(self.each)


@dataclass(frozen=True, slots=True)
class Protocol:
    """The kind of model that was chosen on earlier weeks, and the candidate that would have been the best choice."""

    chosen: list[Folds]
    best: Folds


def read_card_data(path: Path, schema_text: str, *, days: range | None = None) -> Dataset:
    """Every column of the card schema, point in time, labels known after the protocol's delay.

    `days`: only the transactions of these days since 1970, whose history then begins with the first of them.

    Raises: DataInvalid, InvalidTransaction.
    """
    schema = parse_schema(schema_text)
    spec = FeatureSpec.from_schema(schema, HISTORY_EVENTS)
    data = read_data(path, schema)
    return make_dataset(on_days(data, days) if days else data, spec, label_delay_s=DELAY_DAYS * DAY_S)


def on_days(data: LabelledData, days: range) -> LabelledData:
    """The card transactions of these days; the frame keeps its row numbers."""
    day = data.frame["TX_DATETIME"].to_numpy().astype("datetime64[D]").astype(np.int64)
    kept = (day >= days.start) & (day < days.stop)
    return LabelledData(data.frame[kept], data.y[kept], data.notes)


def choose_kind(
    dataset: Dataset, *, weeks: int, say: Say, candidates: Sequence[Candidate] = CANDIDATES, seed: int = 0
) -> Choice:
    """The kind of model that is best on `weeks` weeks before every test day, by models of 7 days of training."""
    earlier = [make_fold(dataset, FIRST_DAY - 7 * week).choosing(dataset) for week in range(weeks)]
    return choose(earlier, candidates, seed=seed, say=say)


def measure_folds(
    dataset: Dataset, choice: Choice, *, training_days: int, say: Say, most_folds: int | None = None, seed: int = 0
) -> Folds:
    """Fit and test on each fold.

    Raises:
        ProtocolBroken: these are not the handbook's rows.
    """
    measured = []
    for number, fold in enumerate(folds(dataset, training_days=training_days)[:most_folds], start=1):
        found = try_fold(dataset, fold, refit(fold.fitting(dataset), choice, seed=seed))
        measured.append(found)
        say(f"{training_days} days of training, fold {number}: average precision {found.average_precision:.3f}")
    return Folds(training_days, choice.name, measured)


def best_of_all(
    dataset: Dataset, choice: Choice, candidates: Sequence[Candidate] = CANDIDATES, *, training_days: int, say: Say
) -> Folds:
    """The candidate with the best mean average precision on the test days: what choosing could have reached.

    Not a fair figure; published tables have it too. Raises ProtocolBroken.
    """
    frauds = folds(dataset, training_days=training_days)[0].sizes(dataset)[1]
    several = [
        measure_folds(dataset, choice.instead(one), training_days=training_days, say=lambda _: None)
        for one in candidates
        if frauds >= one.min_frauds
    ]
    best = max(several, key=lambda one: one.mean.average_precision)
    say(f"{training_days} days of training, best of {len(several)}: {best.chosen}")
    return best


def try_fold(dataset: Dataset, fold: Fold, model: Blend) -> Figures:
    """The model's figures on the fold's test days."""
    if dataset.cards is None:
        raise ValueError("the data has no cards")
    test = fold.test
    score = scores(fold.fitting(dataset), model)
    return figures(dataset.y[test], score, days=dataset.days[test], cards=dataset.cards[test])


def publish_fold(dataset: Dataset, choice: Choice, model: Blend, *, schema_text: str, directory: Path) -> str:
    """Write a fold's model, fitted on `split.train`, as a bundle that a stack can serve; returns its digest."""
    X = dataset.X[dataset.split.train]
    contents = BundleContents(
        schema_text=schema_text,
        history_events=dataset.spec.history_events,
        vocabularies=dataset.vocabularies,
        pipeline=model.trees,
        linear=model.linear,
        linear_share=model.share,
        calibrator=choice.calibrator,
        thresholds=choice.thresholds,
        typical=np.nanmedian(X, axis=0),
        metadata={"purpose": "the published protocol", "winner": choice.name},
    )
    return save_bundle(directory, contents, golden_rows=X[:GOLDEN_ROWS])
