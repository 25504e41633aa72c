"""The handbook's data as a stream of weeks for the loop: as it is, or with a new kind of fraud from a day on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from config.schema.load import parse_schema
from ml.features.spec import FeatureSpec
from ml.measured.handbook import DAY_S, DELAY_DAYS
from ml.measured.incremental_line import incremental_line
from ml.measured.loop import Loop, Week, loop_settings, served_rows, weeks_to_recover
from ml.measured.new_fraud import add_card_testing
from ml.measured.published import HISTORY_EVENTS
from ml.training.data import read_data
from ml.training.dataset import Dataset, make_dataset
from ml.training.selection import Say
from ml.training.served import ServedRows

FIRST_DAY: Final = 17_622
"""2018-04-01, the first day of the data, in days since 1970."""
LEARN_FROM: Final = FIRST_DAY + 54
"""Days before it only fill the histories: models that learn from them get worse figures later."""
LOOK_FROM: Final = FIRST_DAY + 110
WEEKS: Final = 10
DRIFT_DAY: Final = LOOK_FROM + 2 * 7
SEED: Final = 0
INCREMENTAL: Final = "incremental"


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of the weeks. `drift_s`: when the new fraud began; None: never.

    `recovered_after`: whole weeks from then until the gated model was within .05 of what it had before; None: never.
    """

    weeks: list[Week]
    drift_s: float | None = None
    recovered_after: int | None = None


def replay_as_it_is(dataset: Dataset, schema_file: Path, directory: Path, say: Say) -> Replayed:
    """The loop on the data as it is; nothing in it changes. Raises ModelRefused."""
    return Replayed(_run(dataset, schema_file, directory, say))


def replay_new_fraud(data: Path, schema_file: Path, directory: Path, say: Say) -> Replayed:
    """The loop on the data with card testing from `DRIFT_DAY` on. Raises ModelRefused, DataInvalid."""
    schema = parse_schema(schema_file.read_text(encoding="utf-8"))
    changed = add_card_testing(read_data(data, schema), DRIFT_DAY, np.random.default_rng(SEED))
    spec = FeatureSpec.from_schema(schema, HISTORY_EVENTS)
    weeks = _run(make_dataset(changed, spec, label_delay_s=DELAY_DAYS * DAY_S), schema_file, directory, say)
    return Replayed(weeks, DRIFT_DAY * DAY_S, weeks_to_recover(weeks, DRIFT_DAY * DAY_S))


def _run(dataset: Dataset, schema_file: Path, directory: Path, say: Say) -> list[Week]:
    rows = _since(served_rows(dataset, DELAY_DAYS * DAY_S), LEARN_FROM * DAY_S)
    settings = loop_settings(directory, schema_file, rows)
    loop = Loop(settings, rows, others={INCREMENTAL: incremental_line(rows.spec)})
    return loop.run(LOOK_FROM * DAY_S, WEEKS, say)


def _since(rows: ServedRows, from_s: float) -> ServedRows:
    first = int(rows.times.searchsorted(from_s))
    return replace(
        rows,
        X=rows.X[first:],
        y=rows.y[first:],
        times=rows.times[first:],
        amount=None if rows.amount is None else rows.amount[first:],
        cards=None if rows.cards is None else rows.cards[first:],
    )
