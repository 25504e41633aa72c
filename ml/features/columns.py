"""One column of a DataFrame read as its field's type says: numbers, texts or times, missing where it has
none.

Cells are read as `config.schema.convert` reads them; columns that pandas holds as numbers or dates are read
whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from config.errors import FieldError, InvalidTransaction
from config.schema.checks import Refused
from config.schema.convert import compile_conversion
from config.schema.model import TIME_UNITS_S, Field
from ml.features.compiled import Floats, Integers
from ml.features.history_log import hash_text


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of texts: `codes` (n,) int64 into `values` (different from each other), -1 where missing."""

    codes: Integers
    values: tuple[str, ...]

    def counts(self) -> Integers:
        """How often each of `values` occurs."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.values))

    def translate(self, number: Callable[[str], float]) -> Floats:
        """`number` of each row's text, (n,) float64; NaN where missing."""
        table = np.array([*map(number, self.values), math.nan], np.float64)
        return table[self.codes]


def read_texts(column: pd.Series, field: Field) -> Texts:
    """Any column as the texts a client would send: 3.0 is "3", True is "true", blank is missing."""
    codes, texts = _converted(column, field)
    different = dict.fromkeys(str(text) for text in texts if text is not None)
    places = {text: place for place, text in enumerate(different)}
    same = np.array([*(-1 if text is None else places[str(text)] for text in texts), -1], np.int64)
    return Texts(same[codes], tuple(places))


def read_values(column: pd.Series, field: Field) -> Floats:
    """What an event log keeps of a field: the number, the Unix seconds, the hash of a text."""
    if field.type == "timestamp":
        return read_seconds(column, field)
    if field.type in ("number", "integer", "boolean"):
        return read_numbers(column, field)
    return read_texts(column, field).translate(hash_text)


def read_numbers(column: pd.Series, field: Field) -> Floats:
    """Numbers and truth values as float64; infinities are missing. Raises InvalidTransaction."""
    if not pd.api.types.is_numeric_dtype(column.dtype):
        return _converted_numbers(column, field)
    numbers = column.to_numpy(np.float64, na_value=np.nan)
    return numbers if not np.isinf(numbers).any() else np.where(np.isinf(numbers), np.nan, numbers)


def read_seconds(column: pd.Series, field: Field) -> Floats:
    """Times as Unix seconds; dates without a zone are UTC, numbers are in the field's unit (seconds when it
    has none).

    Raises InvalidTransaction.
    """
    if isinstance(column.dtype, pd.DatetimeTZDtype) or column.dtype.kind == "M":
        stamps = pd.to_datetime(column, utc=True).dt.tz_localize(None).to_numpy("datetime64[us]")
        return np.where(np.isnat(stamps), np.nan, stamps.astype(np.int64) / 1e6)
    if not pd.api.types.is_numeric_dtype(column.dtype):
        return _converted_numbers(column, field)
    if "%" in field.format:
        return _converted_numbers(column.astype("Int64").astype("string"), field)
    return read_numbers(column, field) * TIME_UNITS_S.get(field.unit or "s", 1.0)


def _converted_numbers(column: pd.Series, field: Field) -> Floats:
    codes, values = _converted(column, field)
    # numpy reads None as NaN, truth values as 0 and 1; the last place is for code -1.
    return np.array([*values, None], np.float64)[codes]


def _converted(column: pd.Series, field: Field) -> tuple[Integers, list[object]]:
    """Each different cell converted once: `(codes, values)`, code -1 where the frame says missing."""
    codes, cells = pd.factorize(column)
    convert = compile_conversion(field)
    values: list[object] = []
    for code, cell in enumerate(cells):
        try:
            values.append(convert(cell))
        except Refused as refused:
            row = int(np.flatnonzero(codes == code)[0])
            raise InvalidTransaction(
                f"Column {field.name}, row {row}: {refused.message}.",
                errors=(FieldError(f"/{field.name}", refused.code, refused.message),),
            ) from refused
    return codes.astype(np.int64), values
