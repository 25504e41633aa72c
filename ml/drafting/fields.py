"""One column of the sample -> one `[fields.NAME]` table of the draft, with the reasons for what was guessed."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field

import pandas as pd

from ml.drafting import names
from ml.drafting.leaks import leaks_label, separates
from ml.drafting.profile import Column, holds_card_numbers
from ml.drafting.roles import Guess, may_identify

_CODED_VALUES = 254
_LONGEST_CATEGORY = 256
_MOSTLY_UNIQUE = 0.5
_KEY_ORDER = ("type", "format", "unit", "naive", "min", "max", "max_length", "model", "required", "missing", "example")


@dataclass
class Table:
    """A TOML table to be written: comments, then keys (values as TOML text)."""

    path: tuple[str, ...]
    keys: dict[str, str] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)

    def text(self) -> str:
        """The table as TOML."""
        lines = [f"# {comment}" for comment in self.comments]
        lines.append(f"[{'.'.join(quoted_key(part) for part in self.path)}]")
        ordered = sorted(self.keys, key=lambda key: _KEY_ORDER.index(key) if key in _KEY_ORDER else -1)
        lines += [f"{key} = {self.keys[key]}" for key in ordered]
        return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """A TOML basic string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def quoted_key(name: str) -> str:
    """A TOML key, bare where it can be."""
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else quoted(name)


def draft_field(column: Column, guess: Guess, is_fraud: pd.Series) -> Table:
    """The table of one column; `is_fraud`: (n,) 0.0, 1.0 or NaN, by the sample's index."""
    table = Table(("fields", column.name))
    if column.name in guess.columns:
        _draft_role(table, column, guess)
    else:
        _draft_plain(table, column, is_fraud)
    if column.written:
        table.comments.append(f"CONVERT FIRST: numbers are written as {column.written!a}, training reads 1234.50 only.")
    if column.has_nulls:
        table.keys["missing"] = "true"
    return table


def _draft_role(table: Table, column: Column, guess: Guess) -> None:
    if column.name == guess.event_time:
        _draft_time(table, column)
    elif column.name == guess.amount:
        _draft_input(table, column)
        if column.values.min() >= 0:
            table.keys["min"] = "0"
    elif column.name == guess.transaction_id:
        table.keys |= {"type": '"id"', "required": "false"}
        _allow_length(table, column, 128)
    elif column.kind == "text" and column.distinct <= _CODED_VALUES and column.longest <= _LONGEST_CATEGORY:
        _draft_input(table, column)
    else:
        _draft_id(table, column)


def _draft_id(table: Table, column: Column) -> None:
    table.keys["type"] = '"id"'
    _allow_length(table, column, 128)
    if holds_card_numbers(column):
        table.comments.append("These are card numbers: send a token in their place.")


def _draft_plain(table: Table, column: Column, is_fraud: pd.Series) -> None:
    if column.kind == "empty":
        table.comments.append("Empty in the sample.")
        table.keys |= {"type": '"string"', "required": "false", "missing": "true"}
    elif column.kind == "time":
        table.comments.append(
            "A time besides the event time: no model input itself, but the days since then may be, see below."
        )
        _draft_time(table, column)
        _set_aside(table)
    elif holds_card_numbers(column) or (names.entity_named(column.name) and may_identify(column)):
        _draft_id(table, column)
        _set_aside(table)
    elif column.kind == "text" and _is_free_text(column):
        table.comments.append("Mostly different or long texts: kept, not a model input.")
        table.keys["type"] = '"string"'
        _allow_length(table, column, 1024)
        _set_aside(table)
    else:
        _draft_input(table, column)
        _doubt(table, column, is_fraud)


def _doubt(table: Table, column: Column, is_fraud: pd.Series) -> None:
    """Keep from the model what would mislead it, and say why."""
    reason = None
    if leaks_label(column, is_fraud):
        reason = "It gives the label away: known only after the fact, so kept from the model."
    elif column.distinct == 1:
        reason = "One value only in the sample: nothing to learn from."
    elif column.is_numeric and column.is_sorted and (_is_row_number(column) or _is_clock(column)):
        reason = "It only grows from row to row (a counter or a clock): no use to a model."
    elif column.is_numeric and column.is_falling and (_is_row_number(column) or _is_clock(column)):
        reason = (
            "It only falls from row to row (the file is newest first): no use to a model. Without an event time, "
            "sort the file oldest first."
        )
    elif separates(column, is_fraud):
        table.comments.append("Suspicious: this column alone tells fraud from genuine. Is it known in time?")
    if reason:
        table.comments.append(reason)
        table.keys["model"] = "false"
        _set_aside(table)


def _draft_input(table: Table, column: Column) -> None:
    table.keys["type"] = quoted("category" if column.kind == "text" else column.kind)
    if column.kind == "text":
        _allow_length(table, column, 64)
        if column.distinct > _CODED_VALUES:
            table.comments.append(f"{column.distinct} values in the sample; rare ones score as unknown.")
    if example := _example(column):
        table.keys["example"] = example


def _draft_time(table: Table, column: Column) -> None:
    table.keys["type"] = '"timestamp"'
    if column.is_numeric:
        table.keys["format"] = '"unix"'
        unit = time_unit(column)
        if unit != "s":
            table.keys["unit"] = quoted(unit)
        table.comments.append(f"A number that tells the time, read as {_UNIT_WORDS[unit]}. Check the unit.")
        table.keys["example"] = _plain_number(float(column.values.median()))
    elif column.format != "rfc3339":
        table.keys["format"] = quoted(column.format)
        table.comments.append("Times without an offset are UTC.")
    elif not column.has_offset:
        table.keys["naive"] = '"utc"'
        table.comments.append("The data's times have no offset; they are taken as UTC.")


_UNIT_WORDS = {
    "s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds", "min": "minutes", "h": "hours",
    "d": "days",
}  # fmt: skip


def time_unit(column: Column) -> str:
    """The unit of a numeric time, by its size if it counts from 1970, else by its name."""
    highest = float(column.values.max())
    for unit, scale in (("ns", 1e9), ("us", 1e6), ("ms", 1e3)):
        if highest >= 6.3e8 * scale:
            return unit
    said = set(names.words(column.name))
    for unit, named in (("d", {"day", "days"}), ("h", {"hour", "hours", "step"}), ("min", {"minute", "minutes"})):
        if named & said and highest < 1e6:
            return unit
    return "s"


def _is_free_text(column: Column) -> bool:
    mostly_unique = column.distinct > _CODED_VALUES and column.distinct > _MOSTLY_UNIQUE * len(column.values)
    return mostly_unique or column.longest > _LONGEST_CATEGORY


def _is_row_number(column: Column) -> bool:
    return column.kind == "integer" and column.is_unique


def _is_clock(column: Column) -> bool:
    return bool(names.TIMES & set(names.words(column.name)))


def _set_aside(table: Table) -> None:
    """What is no model input need not be sent."""
    table.keys |= {"required": "false", "missing": "true"}


def _allow_length(table: Table, column: Column, usual: int) -> None:
    if column.kind == "text" and column.longest * 2 > usual:
        table.keys["max_length"] = str(min(2 * column.longest, 65_536))


def _example(column: Column) -> str | None:
    """A usual value: the median of numbers, the most frequent text."""
    if column.kind == "integer":
        return _plain_number(int(column.values.quantile(0.5, interpolation="lower")))
    if column.kind == "number":
        median = float(column.values.median())
        return _plain_number(float(f"{median:.6g}")) if math.isfinite(median) else None
    if column.kind == "text":
        return quoted(str(column.values.mode().iloc[0]))
    return None


def _plain_number(value: float) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"{value:.1f}"
    return repr(value)
