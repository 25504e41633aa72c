"""The Sparkov data: train on the first 70% of the rows in time, test on the rest.

The model is chosen on the last fifth of the training rows, a label's delay after the others, and fitted on all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from config.schema.load import parse_schema
from ml.evaluation.ranking import Ranked
from ml.features.spec import FeatureSpec
from ml.measured.fitting import choose, refit, scores
from ml.measured.published import HISTORY_EVENTS
from ml.training.candidates import CANDIDATES, Candidate
from ml.training.data import read_data
from ml.training.dataset import Dataset, make_dataset
from ml.training.selection import Say
from ml.training.split import Split

SCHEMA: Final = "sparkov.toml"
TRAIN_SHARE: Final = 0.7
CHOOSE_SHARE: Final = 0.2
LABEL_DELAY_S: Final = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class SparkovFigures:
    """On the last 30% of the rows. `chosen`: the kind of model, in words."""

    columns: int
    chosen: str
    rows: int
    frauds: int
    roc_auc: float
    average_precision: float


def measure_sparkov(
    path: Path, schema_text: str, *, say: Say, candidates: Sequence[Candidate] = CANDIDATES, seed: int = 0
) -> SparkovFigures:
    """Figures with every column of the schema, features point in time, labels a week late.

    Raises: DataInvalid, InvalidTransaction.
    """
    schema = parse_schema(schema_text)
    say("Sparkov: computing the columns")
    spec = FeatureSpec.from_schema(schema, HISTORY_EVENTS)
    dataset = make_dataset(read_data(path, schema), spec, label_delay_s=LABEL_DELAY_S)
    choice = choose([_split(dataset, CHOOSE_SHARE * TRAIN_SHARE)], candidates, seed=seed, say=say)
    say(f"Sparkov: fitting {choice.name} on the first {TRAIN_SHARE:.0%}")
    whole = _split(dataset, 0.0)
    ranked = Ranked(dataset.y[whole.split.test], scores(whole, refit(whole, choice, seed=seed)))
    rows, frauds = len(whole.split.test), int(dataset.y[whole.split.test].sum())
    return SparkovFigures(len(spec.columns), choice.name, rows, frauds, ranked.roc_auc(), ranked.average_precision())


def _split(dataset: Dataset, choose_share: float) -> Dataset:
    """Training rows without their last `choose_share` (of all rows) and the delay before it; test rows after 70%."""
    order = np.argsort(dataset.times, kind="stable")
    until, test_from = (int(share * len(order)) for share in (TRAIN_SHARE - choose_share, TRAIN_SHARE))
    train = order[:until]
    if choose_share:
        train = train[dataset.times[train] < dataset.times[order[until]] - LABEL_DELAY_S]
    return replace(dataset, split=Split(train, order[until:test_from], order[test_from:], LABEL_DELAY_S))
