"""How late labels are, learned from the labels that have arrived.

What has arrived so far is not a fair sample: of yesterday's frauds only those with a quick label are in it. The curve
is therefore the product-limit estimate in reversed time for right-truncated delays (Lagakos, Barraj and De Gruttola
1988): each delay is compared only with frauds that happened early enough to have shown it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ml.quality.cells import LabelDelay

if TYPE_CHECKING:
    from ml.features.compiled import Floats

LEAST_LABELS: Final = 100
"""Fraud labels below which the delay is not learned."""
LEAST_AT_RISK: Final = 10
"""Frauds that must have been able to show a delay before it counts: the far tail rests on too few."""
QUANTILE: Final = 0.95


@dataclass(frozen=True, slots=True)
class ArrivalCurve:
    """The share of fraud labels that are there at an age. `delays_s` ascending, `shares` 0 to 1 beside them."""

    delays_s: Floats
    shares: Floats
    labels: int
    fallback_s: float

    @property
    def delay(self) -> LabelDelay:
        """The age at which 95% of the labels are there, or the fallback where too few say so."""
        if self.labels < LEAST_LABELS:
            return LabelDelay(self.fallback_s, is_learned=False, labels=self.labels)
        position = int(np.searchsorted(self.shares, QUANTILE - 1e-12))
        return LabelDelay(float(self.delays_s[min(position, len(self.delays_s) - 1)]), True, self.labels)

    def share_at(self, ages_s: Floats) -> Floats:
        """The share (n,) of labels that are there at each age (n,); with too few labels it is a straight line."""
        if self.labels < LEAST_LABELS:
            straight: Floats = np.clip(ages_s / max(self.fallback_s, 1.0), 0.0, 1.0)
            return straight
        known = np.concatenate([[0.0], self.shares])
        shares: Floats = known[np.searchsorted(self.delays_s, ages_s, side="right")]
        return shares


def learn_arrivals(event_times_s: Floats, known_at_s: Floats, *, now_s: float, fallback_s: float) -> ArrivalCurve:
    """The curve from fraud labels: when each payment happened and when its fraud became known, (n,) Unix seconds.

    A label known before its payment happened (clocks differ) has a delay of 0; one known after `now_s` is left out.
    """
    delays = np.maximum(known_at_s - event_times_s, 0.0)
    ages = now_s - event_times_s
    seen = delays <= ages
    delays, ages = np.sort(delays[seen]), np.sort(ages[seen])
    steps, count = np.unique(delays, return_counts=True)
    at_risk = np.searchsorted(delays, steps, side="right") - np.searchsorted(ages, steps, side="left")
    fits = at_risk >= LEAST_AT_RISK
    if len(delays) < LEAST_LABELS or not fits.any():
        return ArrivalCurve(np.empty(0), np.empty(0), min(len(delays), LEAST_LABELS - 1), fallback_s)
    # Beyond the last step with enough frauds at risk nothing can be said: the curve is of the delays up to it.
    last = int(np.flatnonzero(fits)[-1]) + 1
    remaining = np.where(fits, 1.0 - count / at_risk, 1.0)[:last]
    # shares[i]: the chance of a delay of at most steps[i] is the product of what all later steps left over.
    shares = np.append(np.cumprod(remaining[:0:-1])[::-1], 1.0)
    return ArrivalCurve(steps[:last], shares, len(delays), fallback_s)
