"""The last line of defence against card numbers in logs: whatever looks like one is masked before it is written.

Nothing is meant to log what a client sent; an exception's text or a library's line may do so all the same.
"""

from __future__ import annotations

from typing import Any

from structlog.typing import EventDict

from config.card_numbers import MASK, digits_of, hide_cards, is_card_number


def mask_cards(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: card numbers in the event's texts, however deep, become `MASK`."""
    return {name: _masked(value) for name, value in event.items()}


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return hide_cards(value, lambda _: MASK)
    if isinstance(value, int):
        return MASK if is_card_number(digits_of(value)) else value
    if isinstance(value, dict):
        return {name: _masked(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return value
