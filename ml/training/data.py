"""Reading labelled files: only the columns that the schema names, and a label that is 0, 1 or unknown.

Rows without a label stay in the frame (they are part of their entities' history); nothing is trained on them.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from config.errors import TollgateError
from config.schema.convert import to_label
from config.schema.model import Schema
from ml.csv_form import advise_encoding, find_delimiter, read_header
from ml.features.compiled import Floats
from ml.written_numbers import LOOKED_AT, find_written

PARQUET: Final = frozenset({".parquet", ".pq"})
CSV: Final = frozenset({".csv", ".tsv", ".psv", ".txt", ".dat", ".gz", ".bz2"})
_NUMBERS: Final = frozenset({"number", "integer"})


class DataInvalid(TollgateError):
    """The training file cannot be used: not readable, no label column, or a label that is not yes or no."""

    code = "data_invalid"
    status = 422
    title = "The data cannot be used"


@dataclass(frozen=True, slots=True)
class LabelledData:
    """`frame`: the schema's columns; `y`: (n,) float64, 1 fraud, 0 good, NaN unknown; `notes`: what was
    noticed.
    """

    frame: pd.DataFrame
    y: Floats
    notes: list[str] = field(default_factory=list)


def read_data(path: Path, schema: Schema) -> LabelledData:
    """Read a Parquet or a CSV file: parted by commas, semicolons, tabs or bars, packed (.gz, .bz2) or not.

    Raises:
        DataInvalid: it cannot be read, or what is in it cannot be trained on; the message says why.
    """
    if not path.is_file():
        raise DataInvalid(f"{path}: no such file")
    wanted = _wanted(schema)
    try:
        if path.suffix.lower() in PARQUET:
            frame = _read_parquet(path, wanted)
        elif path.suffix.lower() in CSV:
            frame = _read_csv(path, wanted, schema)
        else:
            raise DataInvalid(f"{path}: neither CSV (.csv, .tsv, .txt, .csv.gz) nor Parquet (.parquet)")
    except UnicodeDecodeError as error:
        raise DataInvalid(f"{path} cannot be read: {advise_encoding(path)}") from error
    except (OSError, pa.ArrowException, csv.Error) as error:
        why = advise_encoding(path) if "invalid UTF8" in str(error) else error
        raise DataInvalid(f"{path} cannot be read: {why}") from error
    return label_frame(frame, schema, str(path))


def label_frame(frame: pd.DataFrame, schema: Schema, source: str = "the data") -> LabelledData:
    """Separate the label from a frame. Raises DataInvalid."""
    label = _label_name(schema)
    if label not in frame:
        raise DataInvalid(f"{source} has no column {label!r}, which is the label; it has {_some(list(frame.columns))}")
    columns = [f.name for f in schema.fields if f.name in frame and f.name != label]
    if not any(f.name in frame for f in schema.model_fields) and not schema.features:
        raise DataInvalid(f"{source} has none of the schema's fields ({_some([f.name for f in schema.model_fields])})")
    _refuse_written_numbers(frame, schema)
    y = read_labels(frame[label], label)
    return LabelledData(frame[columns], y, _notice(frame, schema, y))


def read_labels(column: pd.Series, name: str) -> Floats:
    """(n,) 1.0, 0.0 or NaN. Accepts 0/1, true/false, yes/no, fraud/legit, as numbers, booleans or text. Raises
    DataInvalid.
    """
    codes, found = pd.factorize(column)
    read = [_read_label(value) for value in found]
    strange = [str(value).strip() for value, label in zip(found, read, strict=True) if label is None]
    if strange:
        raise DataInvalid(
            f"the label {name!r} must be 0 or 1 (true or false, yes or no, fraud or legit), it also holds "
            f"{_some(strange)}"
        )
    labels: Floats = np.array([*read, np.nan], dtype=np.float64)[codes]
    return labels


def _read_label(value: object) -> float | None:
    """1.0, 0.0, NaN for missing; None when it is no label."""
    try:
        is_fraud = to_label(value)
    except ValueError:
        return None
    return np.nan if is_fraud is None else float(is_fraud)


def _refuse_written_numbers(frame: pd.DataFrame, schema: Schema) -> None:
    """Raises DataInvalid about every number column that holds `12,50` or `$1,234.50`."""
    texts = {f.name: _text_of(frame[f.name]) for f in schema.fields if f.type in _NUMBERS and f.name in frame}
    found = [f"{name!r} holds {text!r}" for name, text in texts.items() if text]
    if found:
        raise DataInvalid(
            f"numbers must be plain, such as 1234.50, without thousands separators, currency signs or a decimal "
            f"comma: {', '.join(found)}; write the file again with plain numbers"
        )


def _text_of(column: pd.Series) -> str | None:
    """The first value that is a number as people write it, if all are numbers in some notation."""
    if pd.api.types.is_numeric_dtype(column.dtype) or column.dtype.kind in "mM":
        return None
    return find_written(column.dropna().head(10 * LOOKED_AT).unique())


def _label_name(schema: Schema) -> str:
    if schema.roles.label is None:
        raise DataInvalid(f"schema {schema.name} names no label: add `label = ...` under [roles]")
    return schema.roles.label


def _wanted(schema: Schema) -> list[str]:
    """The columns worth reading: model inputs, roles and what history features look at."""
    roles = schema.roles
    named = {roles.amount, roles.event_time, _label_name(schema), *dict(roles.entities).values()}
    named |= {feature.of for feature in schema.features}
    named |= {name for f in schema.fields if f.derived is not None for name in (f.derived.of, f.derived.since)}
    named |= {f.name for f in schema.model_fields}
    return [name for name in dict.fromkeys([*(f.name for f in schema.fields), _label_name(schema)]) if name in named]


def _read_parquet(path: Path, wanted: list[str]) -> pd.DataFrame:
    names = pyarrow.parquet.read_schema(path).names
    _refuse_duplicates(names, wanted)
    table = pyarrow.parquet.read_table(path, columns=[name for name in wanted if name in names])
    return table.to_pandas(self_destruct=True, ignore_metadata=True)


def _read_csv(path: Path, wanted: list[str], schema: Schema) -> pd.DataFrame:
    delimiter = find_delimiter(path)
    names = read_header(path, delimiter)
    if not names:
        raise DataInvalid(f"{path} is empty")
    _refuse_duplicates(names, wanted)
    numbers = {f.name: pa.float64() for f in schema.fields if f.type in _NUMBERS}
    try:
        return _parse_csv(path, delimiter, names, wanted, numbers)
    except pa.ArrowInvalid:
        # A number column holds text somewhere: read it as text, the features say which row is wrong.
        return _parse_csv(path, delimiter, names, wanted, {})


def _parse_csv(
    path: Path, delimiter: str, names: list[str], wanted: list[str], numbers: dict[str, pa.DataType]
) -> pd.DataFrame:
    unique = [name if names.index(name) == place else f"{name}\0{place}" for place, name in enumerate(names)]
    types = {name: numbers.get(name, pa.string()) for name in wanted}
    table = pyarrow.csv.read_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(column_names=unique, skip_rows=1, block_size=16 << 20),
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=[name for name in wanted if name in names],
            column_types=types,
            strings_can_be_null=True,
        ),
    )
    return table.to_pandas(self_destruct=True)


def _refuse_duplicates(names: list[str], wanted: list[str]) -> None:
    twice = [name for name in wanted if names.count(name) > 1]
    if twice:
        raise DataInvalid(f"more than one column is called {_some(twice)}; rename or remove one")


def _notice(frame: pd.DataFrame, schema: Schema, y: Floats) -> list[str]:
    """What a person should know about the file before trusting a model made from it."""
    notes = []
    unlabelled = int(np.isnan(y).sum())
    if unlabelled:
        notes.append(f"{unlabelled:,} of {len(y):,} rows have no label; they only count as history")
    absent = [f.name for f in schema.model_fields if f.name not in frame and f.derived is None]
    if absent:
        notes.append(f"not in the data, so never seen by the model: {_some(absent)}")
    empty = [f.name for f in schema.model_fields if f.name in frame and frame[f.name].isna().all()]
    if empty:
        notes.append(f"always missing: {_some(empty)}")
    return notes


def _some(names: list[str], most: int = 8) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
