"""Live quality."""

from __future__ import annotations

import msgspec

from ml.quality.cells import LabelDelay
from ml.quality.summary import Grouping, QualityGroup


class QualityReport(msgspec.Struct, frozen=True):
    """Live quality of the days in [since, until), by event time in UTC. docs/quality.md has the definitions.

    `rolled_at`: when the figures were last brought up to date, None before the first time. `k`: of precision at k.
    `label_delay`: after how long a day counts as matured.
    """

    by: Grouping
    since: str
    until: str
    k: int
    rolled_at: str | None
    label_delay: LabelDelay | None
    groups: list[QualityGroup]
