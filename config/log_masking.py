"""The last line of defence against card numbers in logs: whatever looks like one is masked before it is written.

Nothing is meant to log what a client sent; an exception's text or a library's line may do so all the same.
"""

from __future__ import annotations

import re
from typing import Any, Final

from structlog.typing import EventDict

MASK: Final = "[card number]"
# A network's first digit, 13 to 19 digits in all, in groups or not; not inside a longer word (ids, digests).
_LOOKS_LIKE_CARD: Final = re.compile(r"(?<![0-9A-Za-z])[3-6](?:[ -]?\d){12,18}(?![0-9A-Za-z])")


def mask_cards(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: card numbers in the event's texts, however deep, become `MASK`."""
    return {name: _masked(value) for name, value in event.items()}


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return _LOOKS_LIKE_CARD.sub(_mask_if_card, value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 10**12:
        return _masked(str(value)) if _masked(str(value)) == MASK else value
    if isinstance(value, dict):
        return {name: _masked(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return value


def _mask_if_card(found: re.Match[str]) -> str:
    digits = [int(character) for character in found.group() if character.isdigit()]
    return MASK if _fulfils_luhn(digits) else found.group()


def _fulfils_luhn(digits: list[int]) -> bool:
    """The check digit of card numbers (ISO/IEC 7812-1, annex B)."""
    doubled = (2 * digit - 9 if digit > 4 else 2 * digit for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
