"""What the incremental model is between two steps, and a step: judge, remember, learn. Nothing is read or written."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from config.contracts import LabelPolicy
from ml.bundle import Bundle
from ml.features.spec import FeatureSpec
from ml.incremental.edition import Edition, first_edition, learn
from ml.incremental.lessons import Lessons, no_lessons
from ml.incremental.memory import Memory
from ml.incremental.prequential import Bundles, Week, score_as_then, weekly_record
from ml.ledger.judged import RowIds
from ml.ledger.settled import Horizon

MOST_EDITIONS: Final = 3_000
"""Editions that are kept to score by; a decision from before the oldest of them is learned from and not judged."""
_LONG_AGO: Final = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A published bundle that the gate has not judged. `until_s`: event time of the newest lesson in it."""

    model_version: str
    until_s: float


@dataclass(frozen=True, slots=True)
class State:
    """Everything that a step begins with. `horizon`: what has been learned from; `seen`: the rows that the last look
    found, at `seen_at`: the next one goes that far. `policy`: what silence was taken for. `editions`: ascending, the
    last one is the model. `steps`: that learned something; `published`: the step of the newest bundle.
    """

    schema_digest: str
    policy: LabelPolicy
    memory: Memory
    horizon: Horizon
    seen: RowIds
    seen_at: datetime
    editions: tuple[Edition, ...] = ()
    record: dict[str, Week] = field(default_factory=dict)
    steps: int = 0
    published: int = 0
    waiting: tuple[Waiting, ...] = ()


def fresh_state(spec: FeatureSpec, policy: LabelPolicy) -> State:
    """Nothing learned yet: the first steps go through the whole ledger."""
    nothing = RowIds(0, 0)
    horizon = Horizon(nothing, _LONG_AGO)
    return State(spec.schema.digest, policy, Memory(no_lessons(spec)), horizon, seen=nothing, seen_at=_LONG_AGO)


def take_in(state: State, lessons: Lessons, horizon: Horizon, bundles: Bundles) -> State:
    """Judge new lessons by the editions of their time, then remember them."""
    judged = score_as_then(lessons, state.editions, bundles)
    memory = state.memory.with_new(judged, matured_s=horizon.matured_until.timestamp())
    return replace(state, memory=memory, horizon=horizon)


def go_on(state: State, champion: Bundle, *, now_s: float) -> State:
    """The next edition, learned from the memory as it is. Beside a new champion the head begins anew."""
    latest = state.editions[-1] if state.editions else None
    number = latest.number if latest else 0
    if latest is None or latest.digest != champion.digest:
        latest = first_edition(champion, state.memory, number=number, since_s=now_s)
    if latest is None:
        return state
    edition = learn(latest, champion, state.memory, since_s=now_s)
    return replace(
        state,
        editions=(*state.editions, edition)[-MOST_EDITIONS:],
        record=weekly_record(state.memory, state.record),
        steps=state.steps + 1,
    )
