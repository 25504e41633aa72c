"""Single payments before batches: how long a bulk worker rests after a chunk."""

from __future__ import annotations

import time
from collections.abc import Callable

from workers import metrics

LONGEST_REST_S = 1.0


def rest(*, worked_s: float, times: float, sleep: Callable[[float], None] = time.sleep) -> None:
    """Rest `times` as long as was worked, a second at most: for a worker beside which somebody waits for answers.

    Broker, disk and cores have no priorities that would keep a batch from being felt (docs/adr/0041).
    """
    rest_s = min(worked_s * times, LONGEST_REST_S)
    metrics.BULK_RESTED.inc(rest_s)
    sleep(rest_s)
