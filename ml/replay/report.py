"""What a replay found: per decision, and over many. JSON types only, so that `--json` is `msgspec.json.encode`."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Outcome = Literal["identical", "close", "different", "impossible"]
SHOWN: Final = 20


class Difference(msgspec.Struct, frozen=True):
    """One column that was not rebuilt as it was served; None is a value that was missing."""

    column: str
    served: float | None
    rebuilt: float | None


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """One decision, compared.

    `identical`: every feature and the probability, to the bit. `close`: every feature to the bit, the probability
    within `ml.bundle.TOLERANCE` (another processor may round a sum otherwise). `different`: anything else.
    `impossible`: `reason` says in a sentence why it cannot be rebuilt.
    """

    decision_id: str
    transaction_id: str
    sequence: int
    model_version: str
    outcome: Outcome
    reason: str = ""
    features: int = 0
    differences: list[Difference] = []
    served_probability: float | None = None
    rebuilt_probability: float | None = None


class ReplaySummary(msgspec.Struct, kw_only=True):
    """A whole ledger, compared. `impossible`: reason -> decisions. `shown`: the first ones that differ.

    `missing_sequences`: numbers between the first and the last that neither a decision nor a label has: work that
    history saw and that never got a decision, or that retention removed.
    """

    labels: int = 0
    decisions: int = 0
    identical: int = 0
    close: int = 0
    different: int = 0
    impossible: dict[str, int] = {}
    missing_sequences: int = 0
    largest_probability_difference: float = 0.0
    shown: list[Replayed] = []

    def add(self, one: Replayed) -> None:
        """Count one decision."""
        self.decisions += 1
        if one.outcome == "impossible":
            self.impossible[one.reason] = self.impossible.get(one.reason, 0) + 1
            return
        setattr(self, one.outcome, getattr(self, one.outcome) + 1)
        if one.served_probability is not None and one.rebuilt_probability is not None:
            apart = abs(one.served_probability - one.rebuilt_probability)
            self.largest_probability_difference = max(self.largest_probability_difference, apart)
        if one.outcome == "different" and len(self.shown) < SHOWN:
            self.shown.append(one)
