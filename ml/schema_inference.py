"""A first draft of a schema file from labelled data: `tollgate schema infer`.

The draft is meant to be read and corrected, and to train as it is. It is loose where a sample proves nothing (no
bounds but `amount >= 0`) and says in comments what it doubts.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from config.errors import SchemaInvalid
from config.schema.checks import is_clean_text
from config.schema.convert import to_label
from config.schema.load import parse_schema
from ml.drafting.fields import Table, draft_field, quoted
from ml.drafting.history import draft_calendar, draft_elapsed, draft_features
from ml.drafting.profile import Column, profile
from ml.drafting.roles import Guess, guess_roles
from ml.drafting.sample import Sample, read_sample


def infer_schema(path: str | Path, label: str | None = None) -> str:
    """The text (TOML) of a schema for the transactions in a CSV or Parquet file; it passes `schema check`.

    `label`: the column that says what was fraud; by default it is guessed. About 200,000 rows, spread over the
    file, are looked at.

    Raises:
        ValueError: the file cannot be read, or its label cannot be told.
        SchemaInvalid: nothing of it can be a field.
    """
    path = Path(path)
    sample = read_sample(path)
    columns = {name: profile(sample.frame[name], has_nulls=name in sample.with_nulls) for name in sample.frame}
    refused = [name for name, column in columns.items() if column.kind == "other" or not _can_be_field(name)]
    for name in refused:
        del columns[name]
    guess = guess_roles(columns, label)
    if len(columns) == 1:
        raise SchemaInvalid(f"{path.name} has no column besides the label {guess.label!r}: nothing to score on")
    is_fraud = sample.frame[guess.label].astype(object).map(to_label).astype("float64")
    head = _head(path, sample, refused=refused, fraud_share=float(is_fraud.mean()))
    draft = "\n".join([head, _top(path, guess), *(table.text() for table in _tables(columns, guess, is_fraud))])
    parse_schema(draft, f"the draft from {path.name}")
    return draft


def _tables(columns: dict[str, Column], guess: Guess, is_fraud: pd.Series) -> list[Table]:
    fields = [draft_field(column, guess, is_fraud) for name, column in columns.items() if name != guess.label]
    taken = set(columns)
    derived = [*draft_calendar(guess, columns, taken), *draft_elapsed(guess, columns, taken, is_fraud)]
    return [*fields, *derived, *draft_features(guess, columns, taken)]


def _can_be_field(name: str) -> bool:
    return 1 <= len(name) <= 256 and is_clean_text(name)


def _head(path: Path, sample: Sample, *, refused: list[str], fraud_share: float) -> str:
    lines = [
        f"Draft made from {path.name!a}: {len(sample.frame)} of about {sample.rows} rows looked at,",
        f"{100 * fraud_share:.3g}% of them fraud. Check types, roles and windows; add bounds and descriptions.",
        *(f"Left out: column {name!a} cannot be a field." for name in refused),
    ]
    return "".join(f"# {line}\n" for line in lines)


def _top(path: Path, guess: Guess) -> str:
    name = path.name.split(".")[0]
    lines = [f"name = {quoted(name[:64] if is_clean_text(name[:64]) else 'draft')}", "version = 1", ""]
    lines += ["[roles]", f"label = {quoted(guess.label)}"]
    for role, column in (
        ("amount", guess.amount), ("event_time", guess.event_time), ("transaction_id", guess.transaction_id),
    ):  # fmt: skip
        lines.append(f"{role} = {quoted(column)}" if column else f"# {role}: no column looks like it")
    if guess.entities:
        pairs = ", ".join(f"{entity} = {quoted(column)}" for entity, column in guess.entities.items())
        lines.append(f"entities = {{ {pairs} }}")
    return "\n".join([*lines, ""])
