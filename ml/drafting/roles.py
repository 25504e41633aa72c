"""Guesses which column plays which part: label, amount, event time, transaction id, entities."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from config.schema.convert import to_label
from ml.drafting import names
from ml.drafting.profile import Column

MAX_ENTITIES = 4
_MIN_DISTINCT = 20
_MIN_REPEATS = 1.2


@dataclass(frozen=True)
class Guess:
    """The parts that columns play, by column name. `entities`: entity name -> column name."""

    label: str
    amount: str | None = None
    event_time: str | None = None
    transaction_id: str | None = None
    entities: dict[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> frozenset[str | None]:
        """All columns that play a part."""
        roles = (self.label, self.amount, self.event_time, self.transaction_id)
        return frozenset({*roles, *self.entities.values()})


def guess_roles(columns: Mapping[str, Column], label: str | None) -> Guess:
    """Who is who. `label`: the user's word for the label column.

    Raises:
        ValueError: that column is not there or not a label, or none looks like one.
    """
    label = _check_label(columns, label) if label else find_label(columns)
    rest = {name: column for name, column in columns.items() if name != label}
    event_time = _find_event_time(rest)
    transaction_id = _find_transaction_id(rest)
    taken = {event_time, transaction_id}
    amount = _find_amount({name: column for name, column in rest.items() if name not in taken})
    free = {name: column for name, column in rest.items() if name not in taken | {amount}}
    return Guess(label, amount, event_time, transaction_id, _find_entities(free))


def find_label(columns: Mapping[str, Column]) -> str:
    """The label column by its name and two values. Raises ValueError."""
    binary = [name for name, column in columns.items() if is_binary(column)]
    by_fold = {names.folded(name): name for name in reversed(binary)}
    for known in names.LABELS:
        if known in by_fold:
            return by_fold[known]
    said = [name for name in binary if {"fraud", "fraudulent"} & set(names.words(name))]
    if said:
        return said[0]
    _refuse_constant(columns)
    if len(binary) == 1:
        return binary[0]
    found = f" (columns with two values: {', '.join(binary)})" if binary else ""
    raise ValueError(f"No column looks like a fraud label; name it with --label{found}.")


def _refuse_constant(columns: Mapping[str, Column]) -> None:
    """Raises ValueError when the column that must be the label, by its name, says the same in every row."""
    for name, column in columns.items():
        if column.distinct == 1 and names.folded(name) in names.LABELS and _says(column) is not None:
            told = "fraud" if _says(column) else "genuine"
            raise ValueError(
                f'The label "{name}" says {told} ({column.values.iloc[0]}) in every row: there is nothing to learn '
                "from. A label needs both values; if another column is the label, name it with --label."
            )


def _says(column: Column) -> bool | None:
    try:
        return to_label(column.values.iloc[0])
    except ValueError:
        return None


def is_binary(column: Column) -> bool:
    """Whether the column holds two values that can be read as fraud and genuine."""
    if column.distinct != 2:
        return False
    try:
        return {to_label(value) for value in column.values.unique()} == {True, False}
    except ValueError:
        return False


def _check_label(columns: Mapping[str, Column], label: str) -> str:
    if label not in columns:
        near = difflib.get_close_matches(label, columns, n=1)
        hint = f' Did you mean "{near[0]}"?' if near else f" Columns: {', '.join(columns)}."
        raise ValueError(f'The data has no column "{label}".{hint}')
    if not is_binary(columns[label]):
        raise ValueError(
            f'Column "{label}" is no label: it must hold two values such as 1 and 0, true and false, yes and no'
            f" (it has {columns[label].distinct} different ones)."
        )
    return label


def _find_amount(columns: Mapping[str, Column]) -> str | None:
    numeric = [name for name, column in columns.items() if column.is_numeric and column.distinct > 2]
    by_fold = {names.folded(name): name for name in reversed(numeric)}
    for known in names.AMOUNTS:
        if known in by_fold:
            return by_fold[known]
    return next((name for name in numeric if {"amount", "amt"} & set(names.words(name))), None)


def _find_event_time(columns: Mapping[str, Column]) -> str | None:
    dates = [column for column in columns.values() if column.kind == "time" and column.distinct > 1]
    events = [column for column in dates if not names.OTHER_TIMES & set(names.words(column.name))]
    if events:
        return max(events, key=lambda c: (bool(names.TIMES & set(names.words(c.name))), c.distinct)).name
    counters = [column for column in columns.values() if column.is_numeric and _counts_time(column)]
    return max(counters, key=lambda column: column.distinct).name if counters else None


def _counts_time(column: Column) -> bool:
    """Whether a numeric column is a clock: named like one, and sorted, surely named, or in seconds since 1970."""
    said = set(names.words(column.name))
    if not (names.TIMES & said) or names.OTHER_TIMES & said:
        return False
    is_plain = names.folded(column.name) in names.COUNTERS and column.distinct > 50
    return column.is_sorted or is_plain or looks_like_epoch(column.values)


def looks_like_epoch(values: pd.Series) -> bool:
    """Whether numbers are seconds (or ms, us, ns) since 1970, in the years 1990 to 2100."""
    low, high = float(values.min()), float(values.max())
    return any(6.3e8 * scale <= low and high <= 4.2e9 * scale for scale in (1.0, 1e3, 1e6, 1e9))


def _find_transaction_id(columns: Mapping[str, Column]) -> str | None:
    named = [column for column in columns.values() if names.names_transaction(column.name)]
    return next((c.name for c in named if c.kind in ("integer", "text") and c.is_unique), None)


def _find_entities(columns: Mapping[str, Column]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, column in columns.items():
        entity = names.entity_named(name)
        if entity is None or entity in found or len(found) == MAX_ENTITIES or not may_identify(column):
            continue
        if not any(_same_partition(columns[other], column) for other in found.values()):
            found[entity] = name
    return found


def may_identify(column: Column) -> bool:
    """Whether the values can be ids of things that come back: whole numbers or texts, many but repeated."""
    if column.kind == "number" and not (column.values % 1 == 0).all():
        return False
    enough = column.distinct >= _MIN_DISTINCT and column.repeats >= _MIN_REPEATS
    return column.kind in ("integer", "text", "number") and enough


def _same_partition(one: Column, other: Column) -> bool:
    """Whether two columns name the same things (a customer and the one card that each has)."""
    if one.distinct != other.distinct:
        return False
    pairs = pd.concat([one.values, other.values], axis=1).drop_duplicates()
    return len(pairs) == one.distinct
