"""One fold of the published protocol, with the columns that serve: a change that makes models worse is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.setting_groups.places import DEFAULT_SCHEMA
from ml.measured.handbook import FIRST_DAY, SCHEMA
from ml.measured.published import Folds, choose_kind, measure_folds, read_card_data
from ml.training.candidates import CANDIDATES

HISTORY_DAYS = 28
"""Enough to fill most windows; the floors stand for this short form, the page has the figures of the whole."""
AMONG = ("small trees",)


@pytest.fixture(scope="module")
def first_fold(data_dir_real: Path) -> Folds:
    days = range(FIRST_DAY - HISTORY_DAYS, FIRST_DAY + 21)
    schema_text = DEFAULT_SCHEMA.with_name(SCHEMA).read_text(encoding="utf-8")
    dataset = read_card_data(data_dir_real / "handbook.parquet", schema_text, days=days)
    candidates = [one for one in CANDIDATES if one.name in AMONG]
    choice = choose_kind(dataset, weeks=1, say=lambda _: None, candidates=candidates)
    return measure_folds(dataset, choice, training_days=7, say=lambda _: None, most_folds=1)


def test_the_first_fold_beats_the_published_figures(first_fold: Folds) -> None:
    figures = first_fold.each[0]

    assert figures.average_precision > 0.70
    assert figures.card_precision > 0.285
    assert figures.roc_auc > 0.86
