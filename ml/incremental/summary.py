"""What people see of the incremental model between two of its bundles: plain JSON beside the state, for GET /models."""

from __future__ import annotations

from typing import Final

import msgspec

from ml.incremental.learner import State
from ml.incremental.prequential import Week

FILE: Final = "summary.json"


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """`looked_at`: the last look at the ledger. `edition`: its number, None before the first; `champion`: whose trees
    it has. `steps`: that learned something; `published_after`: the step of the newest bundle, else 0. `remembered`,
    `frauds`: payments in its memory. `waiting`: bundles that the gate has not judged. `prequential`: by week, oldest
    first.
    """

    looked_at: str
    edition: int | None
    champion: str | None
    steps: int
    published_after: int
    remembered: int
    frauds: int
    waiting: list[str]
    prequential: list[Week]


def summary_of(state: State) -> Summary:
    """The state in figures."""
    latest = state.editions[-1] if state.editions else None
    lessons = state.memory.lessons
    return Summary(
        looked_at=state.seen_at.isoformat(timespec="seconds"),
        edition=latest.number if latest else None,
        champion=latest.champion if latest else None,
        steps=state.steps,
        published_after=state.published,
        remembered=len(lessons),
        frauds=int(lessons.y.sum()),
        waiting=[one.model_version for one in state.waiting],
        prequential=[state.record[week] for week in sorted(state.record)],
    )
