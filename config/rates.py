"""How often something may happen, as settings write it: `100/second`, `20 per 5 minutes`.

A part of the notation of the library `limits`, which reads it again where requests are counted.
"""

from __future__ import annotations

import re
from typing import Final

_NOTATION: Final = re.compile(r"[1-9]\d{0,8} ?(?:/|per) ?(?:[1-9]\d{0,3} ?)?(?:second|minute|hour|day)s?")


def require_rate(text: str) -> str:
    """The rate as it was written; empty means none.

    >>> require_rate("20 per 5 minutes")
    '20 per 5 minutes'

    Raises: ValueError.
    """
    if text and not _NOTATION.fullmatch(text):
        raise ValueError("must be empty or a rate such as 100/second or 20 per 5 minutes (second, minute, hour, day)")
    return text
