"""Card numbers: the one definition of what is one, and the guard that keeps them out.

`config.schema.validate` and `web.labels` use the guard at the door, `workers.bulk.scrub` on uploads,
`config.log_masking` on log lines. A card number has a network's prefix and one of that network's lengths and
fulfils Luhn: ids, times and amounts that merely fulfil Luhn are not card numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

from config.errors import CardNumberRefused, FieldError

CardPolicy = Literal["refuse", "mask", "allow"]

MASK: Final = "[card number]"
"""What stands where a card number was in logs and in the stored rows of a batch that refuses them."""

_MAESTRO: Final = (5018, 5020, 5038, 5893, 6304, 6759, 6761, 6762, 6763)
_SHORTEST: Final = 12
_SEPARATOR: Final = "[ \u00a0\u2007\u202f\u2010-\u2015\u2212-]"
# Digits that go on as a word or as a decimal number are a part of an id, of a digest, of a measurement.
_BEFORE: Final = r"(?<![^\W_])(?<!\d\.)"
_AFTER: Final = r"(?![^\W_])(?!\.\d)"
# As they are printed. Other groups of digits are common in what is no card number: dates, UUIDs, telephone numbers.
_LAYOUTS: Final = (
    r"(\d{12,19})",
    r"(\d{4}(S)\d{4}\2\d{4}\2\d{4})",
    r"(\d{4}(S)\d{4}\2\d{4}\2\d{4}\2\d{3})",
    r"(\d{4}(S)\d{6}\2\d{4,5})",
    r"(\d{4}(S)\d{4}\2\d{4}\2\d)",
    r"(\d{6}(S)\d{13})",
)
_PATTERNS: Final = tuple(
    re.compile(_BEFORE + "(?=" + layout.replace("S", _SEPARATOR) + _AFTER + ")") for layout in _LAYOUTS
)
_ALONE: Final = re.compile(rf"\s*(\d(?:{_SEPARATOR}?\d){{11,18}})\s*")
_MANY_DIGITS: Final = re.compile(r"\d(?:" + _SEPARATOR + r"?\d){11}")
# A digit becomes 0, everything else x: twelve digits in a row are then found by one search (0.6 us for a payment).
_DIGITS_AS_ZERO: Final = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x78 for byte in range(256))
_TWELVE: Final = b"0" * _SHORTEST
_MARK: Final = MASK.encode()


class Found(NamedTuple):
    """A card number in a text: where it stands, and its digits alone."""

    start: int
    end: int
    digits: str


def find_cards(text: str) -> list[Found]:
    """The card numbers in a text, in order: in one piece, in printed groups, or with any spaces and dashes when alone.

    >>> [found.digits for found in find_cards("paid by 4111 1111 1111 1111, order 4111111111111112")]
    ['4111111111111111']
    """
    if not _MANY_DIGITS.search(text):
        return []
    if (alone := _ALONE.fullmatch(text)) and (found := _found(alone)):
        return [found]
    candidates = [found for pattern in _PATTERNS for match in pattern.finditer(text) if (found := _found(match))]
    return _without_overlaps(sorted(candidates, key=lambda one: (one.start, -one.end)))


def is_card_number(digits: str) -> bool:
    """Whether digits without separators have a network's prefix and length, and its check digit."""
    return digits.isascii() and len(digits) in _lengths_of(digits) and _fulfils_luhn(digits)


def hide_cards(text: str, hidden: Callable[[str], str]) -> str:
    """The text with each card number replaced by `hidden(digits)`."""
    pieces, position = [], 0
    for found in find_cards(text):
        pieces += [text[position : found.start], hidden(found.digits)]
        position = found.end
    return "".join(pieces) + text[position:] if pieces else text


def truncated(digits: str) -> str:
    """The first six and last four digits, as PCI DSS lets a card number be kept; of short ones the last four.

    >>> truncated("4111111111111111"), truncated("4222222222222")
    ('411111******1111', '*********2222')
    """
    head = 6 if len(digits) >= 15 else 0
    return digits[:head] + "*" * (len(digits) - head - 4) + digits[-4:]


class CardGuard:
    """Lets transactions and labels in, without card numbers. Immutable, safe to share between threads.

    `numeric`: fields whose numbers are amounts, counts or times; a number in any other field may be an id.
    """

    def __init__(self, policy: CardPolicy, numeric: Collection[str] = ()) -> None:
        self.policy = policy
        self._numeric = frozenset(numeric)

    def suspects(self, body: bytes) -> bool:
        """Whether a JSON body is worth a closer look; cheap, and never false when a card number is there."""
        if self.policy == "allow":
            return False
        return (
            _TWELVE in body.translate(_DIGITS_AS_ZERO, b" -")
            or b"\\u00" in body  # a digit may be written so
            or not body.isascii()
            or _MARK in body
        )

    def is_numeric(self, name: str) -> bool:
        """Whether a number in this field is an amount, a count or a time."""
        return name in self._numeric

    def admit(self, pairs: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
        """The pairs of a parsed JSON object as they may be kept: those with card numbers masked, if masking is set.

        Raises:
            CardNumberRefused: a name or a value holds a card number; every such field is named, no value is.
        """
        return self._cleaned(pairs, self._holds)

    def admit_cells(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """The same for a row of a CSV file, where a number in a numeric field is text as well. Raises as `admit`."""
        return dict(self._cleaned(row.items(), self._cell_holds)) if self._suspects_cells(row) else row

    def _suspects_cells(self, row: Mapping[str, Any]) -> bool:
        if self.policy == "allow":
            return False
        cells = "\n".join(map(str, row.values()))
        return MASK in cells or _MANY_DIGITS.search(cells) is not None

    def _cleaned(self, pairs: Iterable[tuple[str, Any]], holds: Callable[[str, Any], bool]) -> list[tuple[str, Any]]:
        if self.policy == "allow":
            return list(pairs)
        judged = [(name, value, holds(name, value)) for name, value in pairs]
        if self.policy == "refuse" and (names := [name for name, _, hit in judged if hit]):
            raise _refusal(names)
        return [(self._masked(name), self._masked(value)) if hit else (name, value) for name, value, hit in judged]

    def _holds(self, name: str, value: Any) -> bool:
        if find_cards(name):
            return True
        is_amount = self.is_numeric(name) and isinstance(value, int | float)
        return not is_amount and self._has_card(value)

    def _cell_holds(self, name: str, cell: Any) -> bool:
        return not (self.is_numeric(name) and _is_number(cell)) and self._has_card(cell)

    def _has_card(self, value: Any) -> bool:
        if isinstance(value, str):
            return bool(find_cards(value)) or (self.policy == "refuse" and MASK in value)
        if isinstance(value, dict):
            return any(self._has_card(part) for pair in value.items() for part in pair)
        if isinstance(value, list | tuple):
            return any(self._has_card(part) for part in value)
        return is_card_number(digits_of(value))

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            return hide_cards(value, truncated)
        if isinstance(value, dict):
            return {self._masked(name): self._masked(part) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return [self._masked(part) for part in value]
        digits = digits_of(value)
        return truncated(digits) if is_card_number(digits) else value


def digits_of(value: object) -> str:
    """The digits of a whole number, as an id made of it has them; empty for anything else."""
    if isinstance(value, bool):
        return ""
    if isinstance(value, int):
        return str(value) if 0 <= value < 10**19 else ""
    return str(int(value)) if isinstance(value, float) and 0 <= value < 1e19 and value.is_integer() else ""


def _refusal(names: list[str]) -> CardNumberRefused:
    message = "holds a card number; send a token or the last four digits in its place"
    shown = [hide_cards(name, lambda _: MASK)[:256] for name in names[:100]]
    errors = tuple(
        FieldError(f"/{name.replace('~', '~0').replace('/', '~1')}", CardNumberRefused.code, message) for name in shown
    )
    count = "1 field holds a card number" if len(names) == 1 else f"{len(names)} fields hold card numbers"
    return CardNumberRefused(f"{count}; nothing of this was kept.", errors=errors)


def _is_number(cell: Any) -> bool:
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True


def _found(match: re.Match[str]) -> Found | None:
    # Digits of any script count; what is compared and kept is ASCII.
    digits = "".join(str(int(character)) for character in match[1] if character.isdecimal())
    return Found(match.start(1), match.end(1), digits) if is_card_number(digits) else None


def _without_overlaps(candidates: list[Found]) -> list[Found]:
    kept: list[Found] = []
    for found in candidates:
        if not kept or found.start >= kept[-1].end:
            kept.append(found)
    return kept


def _lengths_of(digits: str) -> Collection[int]:
    """The lengths that the network of this prefix issues (ISO/IEC 7812; the networks' published ranges)."""
    if len(digits) < _SHORTEST:
        return ()
    two, three, four = int(digits[:2]), int(digits[:3]), int(digits[:4])
    if digits[0] == "4":  # Visa
        return (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:  # Mastercard
        return (16,)
    if two in (34, 37):  # American Express
        return (15,)
    if four in _MAESTRO:
        return range(12, 20)
    if 3528 <= four <= 3589 or two in (62, 65, 81) or four == 6011 or 644 <= three <= 649:  # JCB, UnionPay, Discover
        return range(16, 20)
    if two in (36, 38, 39) or 300 <= three <= 305 or three == 309:  # Diners Club
        return range(14, 20)
    return ()


def _fulfils_luhn(digits: str) -> bool:
    """The check digit of card numbers (ISO/IEC 7812-1, annex B)."""
    numbers = [int(digit) for digit in digits]
    doubled = (2 * digit - 9 if digit > 4 else 2 * digit for digit in numbers[-2::-2])
    return (sum(numbers[-1::-2]) + sum(doubled)) % 10 == 0
