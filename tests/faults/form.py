"""How much of the fault suite is run: the short form of `make test`, or the full one of `make faults`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Form:
    """`is_full`: 10,000 accepted transactions a scenario, outages of a minute, figures held against their limits.

    The short form keeps what cannot fail on a slow machine: exactly one decision each, no hang.
    """

    is_full: bool

    def pick(self, *, short: T, full: T) -> T:
        """The one of the two that this form wants."""
        return full if self.is_full else short

    @property
    def accepted(self) -> int:
        """Accepted transactions that a scenario needs at least."""
        return self.pick(short=150, full=10_000)
