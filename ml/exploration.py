"""Letting a small share of declines pass, to learn what declined payments really are.

Who declines everything risky never learns whether it was fraud: a declined payment has no chargeback. So of those
that the score declines, up to an amount, a share chosen by a hash of the transaction id is approved, says so in its
reasons, and carries the chance with which this happened: live quality and training count it 1 / chance times.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from config.contracts import Action, Reason

LARGEST_SHARE: Final = 0.1
_SALT: Final = b"exploration"


@dataclass(frozen=True, slots=True)
class Exploration:
    """`share` of the declines (0 to 0.1; 0: none) of at most `max_amount` are approved."""

    share: float = 0.0
    max_amount: float = 0.0

    def covers(self, action: Action, amount: float | None) -> bool:
        """Whether a payment that the score decided may be let through."""
        return self.share > 0 and action == "decline" and amount is not None and amount <= self.max_amount

    def lets_through(self, transaction_id: str) -> bool:
        """The same answer for the same id, always and everywhere: a redelivery decides the same."""
        digest = blake2b(transaction_id.encode("utf-8", "surrogatepass"), digest_size=8, salt=_SALT).digest()
        return int.from_bytes(digest, "big") / 2**64 < self.share

    def propensity(self, *, is_let_through: bool) -> float:
        """The chance with which a payment that `covers` was let through, or was not."""
        return self.share if is_let_through else 1.0 - self.share


def exploration_reason(share: float) -> Reason:
    """The reason that a payment that was let through carries. It is no part of the score: its impact is 0."""
    return Reason(
        code="EXPLORATION",
        feature="",
        direction="lowers",
        impact=0.0,
        message=f"the score says decline; {share:.2%} of such payments are approved to learn from them",
    )
