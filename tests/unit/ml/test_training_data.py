"""Labelled files of every awkward kind are read, or refused with a message that says what is wrong."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from config.schema.load import parse_schema
from ml.schema_inference import infer_schema
from ml.training.data import DataInvalid, label_frame, read_data, read_labels
from ml.written_numbers import find_written, read_written

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


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("packed", [False, True])
def test_whatever_a_draft_is_made_from_can_be_trained_on(tmp_path: Path, delimiter: str, packed: bool) -> None:
    header = delimiter.join(["at", "amount", "kind", '"other, or ""none"""', "fraud"])
    rows = [delimiter.join([f"2026-01-{day:02}T00:00:00Z", f"{day}.5", "a", "x", str(day % 2)]) for day in range(1, 29)]
    path = tmp_path / ("d.csv.gz" if packed else "d.csv")
    content = "\n".join([header, *rows]).encode()
    path.write_bytes(gzip.compress(content) if packed else content)

    schema = parse_schema(infer_schema(path))
    data = read_data(path, schema)

    assert (schema.roles.label, schema.roles.amount) == ("fraud", "amount")
    assert data.y.sum() == 14
    assert data.frame["amount"].tolist()[:2] == [1.5, 2.5]


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("$1,234.50", 1234.5),
        ("1.234,50", 1234.5),
        ("0,6792", 0.6792),
        ("12,50 EUR", 12.5),
        ("1,234", 1234.0),
        ("-7 %", -7.0),
    ],
)
def test_a_column_of_written_numbers_is_named_by_the_draft_and_by_training(
    tmp_path: Path, written: str, plain: float
) -> None:
    amounts = [written, "n/a", *(written.replace("2", str(digit)).replace("7", str(digit)) for digit in range(10))]
    frame = pd.DataFrame({"amount": amounts, "fraud": [0, 1] * 6})
    path = tmp_path / "d.csv"
    frame.to_csv(path, index=False, sep=";")

    text = infer_schema(path)

    assert f"CONVERT FIRST: numbers are written as {written!a}" in text
    schema = parse_schema(text)
    assert schema.roles.amount == "amount"
    assert read_written(pd.Series([written]))[0] == pytest.approx(plain)
    with pytest.raises(DataInvalid, match=r"'amount' holds .* plain numbers"):
        read_data(path, schema)


@pytest.mark.parametrize("texts", [["ABC123", "DEF456"], ["1", "2.5"], ["2026-01-01"], ["a,b"], [], ["1.2.3.4"]])
def test_codes_and_plain_numbers_are_not_taken_for_written_numbers(texts: list[str]) -> None:
    assert find_written(texts) is None


def test_a_file_in_another_encoding_says_how_to_convert_it(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(CSV.replace("kind", "Straße").encode("latin-1"))
    with pytest.raises(DataInvalid, match=r"iconv -f WINDOWS-1252 -t UTF-8 d\.csv"):
        read_data(path, SCHEMA)
    with pytest.raises(ValueError, match="iconv -f WINDOWS-1252"):
        infer_schema(path)
    path.write_bytes(CSV.replace(",a,", ",K\xf6ln,").encode("latin-1"))
    with pytest.raises(DataInvalid, match="iconv"):
        read_data(path, SCHEMA)


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
        ["legit", "Fraud", "-"],
        ["genuine", "chargeback", " "],
    ],
)
def test_labels_are_understood_in_every_common_form(values: list[object]) -> None:
    assert np.array_equal(read_labels(pd.Series(values), "fraud"), [0.0, 1.0, np.nan], equal_nan=True)


def test_rows_without_a_label_stay_and_are_counted() -> None:
    data = label_frame(pd.DataFrame({"amount": [1.0, 2.0], "fraud": [None, 1]}), SCHEMA)

    assert len(data.frame) == 2
    assert any("1 of 2 rows have no label" in note for note in data.notes)
