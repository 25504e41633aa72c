"""What one column of a sample looks like: its kind, how many different values, whether it grows with time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from config.schema.times import NAIVE_PATTERN, RFC3339_PATTERN
from ml.written_numbers import find_written, read_written

Kind = Literal["number", "integer", "boolean", "text", "time", "empty", "other"]

_LOOKS_LIKE_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?")
_DATES_TRIED = 500
_FEWEST_WRITTEN = 10
_DAYS = (
    "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%d/%m/%y", "%m/%d/%y",
)  # fmt: skip
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")


@dataclass(frozen=True)
class Column:
    """A column of the sample. `values`: those that are there, in file order. `format`: of texts that are times
    ("rfc3339" or a strptime pattern); `has_offset`: their times say their offset from UTC. `written`: how a number
    looks in the file, where that is not plain (`$1,234.50`)."""

    name: str
    kind: Kind
    values: pd.Series
    distinct: int
    has_nulls: bool
    longest: int = 0
    format: str = "rfc3339"
    has_offset: bool = False
    written: str = ""

    @property
    def is_numeric(self) -> bool:
        """Whether the values are numbers."""
        return self.kind in ("number", "integer")

    @property
    def is_unique(self) -> bool:
        """Whether no value repeats in the sample."""
        return self.distinct == len(self.values) and self.distinct > 1

    @property
    def repeats(self) -> float:
        """How often a value comes on average."""
        return len(self.values) / max(self.distinct, 1)

    @property
    def is_sorted(self) -> bool:
        """Whether numbers (almost) only grow from the first row to the last."""
        steps = self.values.diff().dropna()
        return len(steps) > 1 and bool((steps >= 0).mean() > 0.95) and bool((steps > 0).any())

    @property
    def is_falling(self) -> bool:
        """Whether numbers (almost) only fall from the first row to the last."""
        steps = self.values.diff().dropna()
        return len(steps) > 1 and bool((steps <= 0).mean() > 0.95) and bool((steps < 0).any())


def profile(series: pd.Series, *, has_nulls: bool) -> Column:
    """Look at one column. The cost is that of counting its different values."""
    name = str(series.name)
    values = series.dropna()
    kind = _kind(values)
    if kind == "number":
        values = values.astype("float64")
    if kind in ("empty", "other"):
        return Column(name, kind, values, 0, has_nulls)
    if kind == "text":
        values = values.astype("str")
        return _profile_text(name, values, has_nulls)
    is_aware = isinstance(values.dtype, pd.DatetimeTZDtype)
    return Column(name, kind, values, values.nunique(), has_nulls, has_offset=is_aware)


def _kind(values: pd.Series) -> Kind:
    if values.empty:
        return "empty"
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _kind(pd.Series(dtype.categories))
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_integer_dtype(dtype):
        return "integer"
    if pd.api.types.is_float_dtype(dtype):
        return "number"
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "time"
    return _kind_of_objects(values)


def _kind_of_objects(values: pd.Series) -> Kind:
    kinds: dict[str, Kind] = {
        "string": "text", "mixed-integer": "text", "boolean": "boolean", "integer": "integer", "floating": "number",
        "mixed-integer-float": "number", "decimal": "number", "date": "time", "datetime": "time",
    }  # fmt: skip
    return kinds.get(pd.api.types.infer_dtype(values, skipna=True), "other")


def _profile_text(name: str, values: pd.Series, has_nulls: bool) -> Column:
    distinct = values.unique()
    longest = int(pd.Series(distinct).str.len().max())
    tried = [str(value).strip() for value in distinct[:_DATES_TRIED]]
    if all(_LOOKS_LIKE_DATE.fullmatch(value) for value in tried) and (pattern := _date_format(tried)):
        has_offset = pattern == "rfc3339" and all(re.fullmatch(RFC3339_PATTERN, value) for value in tried)
        return Column(
            name, "time", values, len(distinct), has_nulls, longest=longest, format=pattern, has_offset=has_offset
        )
    if len(distinct) >= _FEWEST_WRITTEN and (written := find_written(distinct)):
        numbers = pd.Series(read_written(values), index=values.index, name=name).dropna()
        return Column(name, "number", numbers, numbers.nunique(), has_nulls, written=written)
    return Column(name, "text", values, len(distinct), has_nulls, longest=longest)


def _date_format(texts: list[str]) -> str | None:
    """ "rfc3339" or the strptime pattern that reads every one of the texts, None when there is none."""
    if all(re.fullmatch(NAIVE_PATTERN, text) for text in texts):
        return "rfc3339"
    for pattern in (day + time for day in _DAYS for time in _TIMES):
        if _all_read(texts[:1], pattern) and _all_read(texts, pattern):
            return pattern
    return None


def _all_read(texts: list[str], pattern: str) -> bool:
    return bool(pd.to_datetime(pd.Series(texts), format=pattern, errors="coerce").notna().all())


def holds_card_numbers(column: Column) -> bool:
    """Whether nearly all of some values are 12 to 19 digits that pass the Luhn check."""
    tried = [str(value) for value in column.values.iloc[:200]]
    return bool(tried) and sum(_is_luhn_valid(text) for text in tried) > 0.9 * len(tried)


def _is_luhn_valid(text: str) -> bool:
    if not (12 <= len(text) <= 19 and text.isascii() and text.isdigit()):
        return False
    doubled = (int(digit) * 2 for digit in text[-2::-2])
    return (sum(map(int, text[::-2])) + sum(d - 9 if d > 9 else d for d in doubled)) % 10 == 0
