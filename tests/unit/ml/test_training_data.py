"""Labelled files of every awkward kind are read, or refused with a message that says what is wrong."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from config.schema.load import parse_schema
from ml.training.data import DataInvalid, label_frame, read_data, read_labels

SCHEMA = parse_schema(
    """
name = "tiny"
version = 1
[roles]
amount = "amount"
event_time = "at"
label = "fraud"
[fields.at]
type = "timestamp"
[fields.amount]
type = "number"
[fields.kind]
type = "category"
[fields.gone]
type = "number"
required = false
"""
)
CSV = "at,amount,kind,other,fraud\n2026-01-01T00:00:00Z,5,a,x,0\n2026-01-02T00:00:00Z,,b,y,1\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_only_the_schemas_columns_are_read(tmp_path: Path) -> None:
    data = read_data(write(tmp_path / "d.csv", CSV), SCHEMA)

    assert list(data.frame.columns) == ["at", "amount", "kind"]
    assert data.y.tolist() == [0.0, 1.0]
    assert np.array_equal(data.frame["amount"], [5.0, np.nan], equal_nan=True)
    assert any("'gone'" in note for note in data.notes)


@pytest.mark.parametrize("kind", ["parquet", "csv.gz", "tsv"])
def test_parquet_compressed_and_tab_separated_files_are_read_alike(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"d.{kind}"
    if kind == "parquet":
        pd.read_csv(write(tmp_path / "d.csv", CSV)).to_parquet(path)
    elif kind == "csv.gz":
        path.write_bytes(gzip.compress(CSV.encode()))
    else:
        write(path, CSV.replace(",", "\t"))

    data = read_data(path, SCHEMA)

    assert data.y.tolist() == [0.0, 1.0]
    assert list(data.frame.columns) == ["at", "amount", "kind"]


def test_text_among_numbers_is_left_for_the_features_to_name(tmp_path: Path) -> None:
    data = read_data(write(tmp_path / "d.csv", CSV.replace(",5,", ",five,")), SCHEMA)

    assert data.frame["amount"].tolist()[0] == "five"


def test_two_needed_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "d.csv", CSV.replace("other", "amount"))

    with pytest.raises(DataInvalid, match="more than one column is called 'amount'"):
        read_data(path, SCHEMA)


def test_two_unneeded_columns_of_one_name_do_no_harm(tmp_path: Path) -> None:
    text = "x,x,amount,fraud\n1,2,3,0\n1,2,4,1\n"

    assert read_data(write(tmp_path / "d.csv", text), SCHEMA).frame["amount"].tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("d.csv", "", "is empty"),
        ("d.csv", "amount,kind\n1,a\n", "no column 'fraud'"),
        ("d.csv", "fraud,other\n1,a\n", "none of the schema's fields"),
        ("d.csv", "amount,fraud\n1,maybe\n", "'maybe'"),
        ("d.csv", "amount,fraud\n1,2\n", "'2'"),
        ("d.csv", "amount,fraud\n1\n", "cannot be read"),
        ("d.parquet", "not parquet", "cannot be read"),
        ("d.json", "{}", "neither CSV"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(DataInvalid, match=message):
        read_data(write(tmp_path / name, text), SCHEMA)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match="no such file"):
        read_data(tmp_path / "nowhere.csv", SCHEMA)


@pytest.mark.parametrize(
    "values",
    [
        [0, 1, None],
        ["0", "1", ""],
        ["False", "TRUE", None],
        ["no", "Yes", "NA"],
        [0.0, 1.0, np.nan],
        [False, True, None],
    ],
)
def test_labels_are_understood_in_every_common_form(values: list[object]) -> None:
    assert np.array_equal(read_labels(pd.Series(values), "fraud"), [0.0, 1.0, np.nan], equal_nan=True)


def test_rows_without_a_label_stay_and_are_counted() -> None:
    data = label_frame(pd.DataFrame({"amount": [1.0, 2.0], "fraud": [None, 1]}), SCHEMA)

    assert len(data.frame) == 2
    assert any("1 of 2 rows have no label" in note for note in data.notes)
