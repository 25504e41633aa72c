"""Numbers that people write and programs do not read: `1.234,50`, `$1,234.50`, `12 %`.

A draft says which columns hold such numbers, training refuses them by name: clients send plain numbers, and one
comma may mean a thousand or a tenth.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from typing import Final

import numpy as np
import pandas as pd

from config.schema.convert import MISSING_WORDS
from ml.features.compiled import Floats

LOOKED_AT: Final = 1000
"""Different texts of a column that are looked at before all of them are read."""
_CODES: Final = "USD|EUR|GBP|CHF|JPY|CAD|AUD|NZD|INR|BRL|SEK|NOK|DKK|PLN|CZK|ZAR|SGD|HKD|MXN|CNY|Rs|kr"
_SIGN: Final = rf"(?:[$€£¥₹%]|(?:{_CODES})\.?)"
_DIGITS: Final = r"(?:\d{1,3}(?:[.,'\u00a0\u202f ]\d{3})+|\d+)(?:[.,]\d+)?"
_WRITTEN: Final = re.compile(rf"[+-]?{_SIGN}?\s*[+-]?{_DIGITS}\s*{_SIGN}?")
_PLAIN: Final = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_NOT_DIGITS: Final = re.compile(r"[^0-9.,+-]")


def find_written(texts: Iterable[object]) -> str | None:
    """The first text that is no plain number, if all of them are numbers in some notation; else None."""
    words = [
        word for word in (str(text).strip() for text in islice(texts, LOOKED_AT)) if word.lower() not in MISSING_WORDS
    ]
    if not words or not all(_WRITTEN.fullmatch(word) or _PLAIN.fullmatch(word) for word in words):
        return None
    return next((word for word in words if not _PLAIN.fullmatch(word)), None)


def read_written(texts: pd.Series) -> Floats:
    """(n,) what the texts mean, NaN where that cannot be told.

    A comma is the decimal sign unless every one stands before three digits, or a point follows it.
    """
    bare = texts.astype(str).str.replace(_NOT_DIGITS, "", regex=True)
    with_comma = bare[bare.str.contains(",", regex=False)]
    is_decimal = len(with_comma) > 0 and not with_comma.str.fullmatch(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?").all()
    if is_decimal:
        bare = bare.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    numbers = pd.to_numeric(bare.str.replace(",", "", regex=False), errors="coerce")
    return np.asarray(numbers, dtype=np.float64)
