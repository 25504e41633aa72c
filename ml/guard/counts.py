"""What scoring workers count about two models on the same transactions, as it is kept in Redis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

Side = Literal["champion", "challenger"]

SCORE_EDGES: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3)
"""Fraud probabilities between the bins of the score: most payments are harmless, so the bins are narrow there."""
BINS: Final = len(SCORE_EDGES) + 1


KEPT_MINUTES: Final = 360
"""How long a minute's counts are kept: where traffic is thin, the guard looks back further than its window."""


class SideCounts(msgspec.Struct, frozen=True):
    """One model. `failed`: rows that it could not score. `us`: microseconds of scoring. `alerts`: rows at or above its
    review threshold; `alone`: of these, the ones that the other model would approve. `decided`: rows that it decided.
    `bins`: rows by score.
    """

    failed: int
    us: int
    alerts: int
    alone: int
    decided: int
    bins: tuple[int, ...]

    @classmethod
    def read(cls, side: Side, fields: Mapping[str, int]) -> SideCounts:
        """From the flat counters of `PairCounts.read`."""
        plain = {name: fields.get(f"{side}_{name}", 0) for name in ("failed", "us", "alerts", "alone", "decided")}
        return cls(**plain, bins=tuple(fields.get(f"{side}_bin_{number}", 0) for number in range(BINS)))


class PairCounts(msgspec.Struct, frozen=True):
    """`older` and `newer` scored the same `rows`; which of the two was promoted last does not matter for counting."""

    rows: int
    older: SideCounts
    newer: SideCounts

    @classmethod
    def read(cls, fields: Mapping[str, int], *, newer: Side) -> PairCounts:
        """From flat counters: `rows` and, by side, `champion_us`, `challenger_bin_3` and so on; missing ones are 0."""
        older: Side = "champion" if newer == "challenger" else "challenger"
        return cls(fields.get("rows", 0), SideCounts.read(older, fields), SideCounts.read(newer, fields))
