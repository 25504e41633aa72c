"""One step of the incremental model: what became known since the last one, the next edition, now and then a bundle.

What became known between two looks at the ledger is always the same, and the state that says how far it looked is
replaced as a whole: a step that is cut off is done again, and every label is learned once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Final

import structlog

from config.contracts import ChampionPointer
from config.errors import BundleRefused, ModelRefused, NotReady, PromotionRefused, UnknownId
from config.schema.model import Schema
from config.settings import Settings
from ml.bundle import Bundle, load_bundle
from ml.features.spec import FeatureSpec
from ml.incremental.learner import State, Waiting, fresh_state, go_on, take_in
from ml.incremental.lessons import lessons_between
from ml.incremental.prequential import Bundles
from ml.incremental.publish import newest_lesson_s, publish
from ml.incremental.store import load_state, save_state
from ml.ledger import Ledger
from ml.ledger.judged import RowIds
from ml.ledger.settled import Horizon
from ml.promotion.challengers import ChallengerDesk
from ml.promotion.desk import Desk
from ml.promotion.judging import label_delay_s, read_matured
from ml.registry import StoredBundle

LOOK_APART: Final = timedelta(seconds=30)
"""Rows become visible in another order than they are numbered when several processes write, each for some seconds at
most. So a step learns from the rows that were there at the look before, if that is long enough ago.
"""
MOST_LOOKS: Final = 50
"""Stretches of the ledger per step, each of some 20,000 rows: a long past is caught up with over several steps."""
ACTOR: Final = "incremental"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """What a step came to: lessons learned from, the bundle that it published, the champion that it promoted."""

    lessons: int
    published: StoredBundle | None = None
    promoted: ChampionPointer | None = None


def take_step(desk: Desk, *, now: datetime) -> Step:
    """Learn from what became known; publish every `incremental_publish_steps` steps, and ask the gate about an earlier
    bundle that has a whole block after it. Nothing happens without a champion.

    Raises LedgerUnavailable, BrokerUnavailable; BundleRefused when the champion's bundle cannot be read.
    """
    champion = desk.champion()
    if champion is None:
        return Step(0)
    bundle = load_bundle(desk.settings.model_dir / champion.path, digest=champion.digest)
    before = stored_state(desk.settings, desk.schema)
    state, count = learn_from_ledger(before, desk, bundle, now=now)
    save_state(desk.settings.model_dir, state)
    if state.steps == before.steps or state.steps - state.published < desk.settings.incremental_publish_steps:
        return Step(count)
    published, state = _publish(state, desk, bundle, now=now)
    promoted, state = _ask_the_gate(state, desk, now=now)
    save_state(desk.settings.model_dir, state)
    return Step(count, published, promoted)


def stored_state(settings: Settings, schema: Schema) -> State:
    """The state to go on from; a fresh one for another schema or label policy, or when it cannot be trusted."""
    spec = FeatureSpec.from_schema(schema, settings.history_events)
    fresh = fresh_state(spec, settings.label_policy)
    try:
        state = load_state(settings.model_dir)
    except BundleRefused as error:
        # Everything that was learned is in the ledger, so it is learned again.
        log.warning("incremental_state_refused", reason=error.detail)
        return fresh
    if state is None or (state.schema_digest, state.policy) != (fresh.schema_digest, fresh.policy):
        return fresh
    return state


def learn_from_ledger(state: State, desk: Desk, champion: Bundle, *, now: datetime) -> tuple[State, int]:
    """The state after this step, and from how many transactions it learned. Raises LedgerUnavailable."""
    settings, ledger = desk.settings, desk.ledger
    if now - state.seen_at < LOOK_APART:
        return state, 0
    matured_until = now - timedelta(seconds=label_delay_s(settings, ledger, as_of=now))
    until = Horizon(state.seen, max(matured_until, state.horizon.matured_until))
    newest = ledger.newest_ids()
    seen = RowIds(max(newest.decision, state.seen.decision), max(newest.label, state.seen.label))
    state = replace(state, seen=seen, seen_at=now)
    bundles = _bundles(settings)
    count = 0
    for _ in range(MOST_LOOKS):
        if state.horizon == until:
            break
        state, new = _look(state, until, ledger, champion.spec, bundles)
        count += new
    return (go_on(state, champion, now_s=now.timestamp()) if count else state), count


def _look(state: State, until: Horizon, ledger: Ledger, spec: FeatureSpec, bundles: Bundles) -> tuple[State, int]:
    """One stretch of the ledger, short enough to be read at once."""
    digest = state.schema_digest
    horizon = ledger.next_horizon(state.horizon, until, schema_digest=digest)
    rows = ledger.settling_between(state.horizon, horizon, schema_digest=digest)
    lessons = lessons_between(rows, state.horizon, horizon, spec=spec, policy=state.policy)
    return take_in(state, lessons, horizon, bundles), len(lessons)


def _bundles(settings: Settings) -> Bundles:
    """The champions of editions, each loaded once."""

    @cache
    def load(model_version: str, digest: str) -> Bundle:
        return load_bundle(settings.model_dir / model_version, digest=digest)

    return lambda edition: load(edition.champion, edition.digest)


def _publish(state: State, desk: Desk, champion: Bundle, *, now: datetime) -> tuple[StoredBundle | None, State]:
    text = desk.settings.schema_file.read_text(encoding="utf-8-sig")
    published = publish(state, champion, text, desk.settings.model_dir, now=now)
    if published is None:
        return None, state
    # Imported here: MLflow's client takes seconds to load.
    from ml.training.tracking import log_missing_runs

    log_missing_runs(desk.settings, state.schema_digest)
    _begin_shadow(desk, published, now=now)
    waiting = (*state.waiting, Waiting(published.model_version, newest_lesson_s(state)))
    return published, replace(state, published=state.steps, waiting=waiting)


def _begin_shadow(desk: Desk, published: StoredBundle, *, now: datetime) -> None:
    """Let it score beside the champion, unless another model does."""
    if desk.slot.current() is None:
        try:
            ChallengerDesk(desk).shadow(published.model_version, actor=ACTOR, now=now)
        except (NotReady, BundleRefused) as refusal:
            log.info("incremental_not_shadowing", model_version=published.model_version, reason=refusal.detail)


def _ask_the_gate(state: State, desk: Desk, *, now: datetime) -> tuple[ChampionPointer | None, State]:
    """Judge the newest bundle that learned from nothing within a label delay of the newest block; older ones go."""
    due = _due(state, desk, now=now) if state.waiting else None
    if due is None:
        return None, state
    later = tuple(one for one in state.waiting if one.until_s > due.until_s)
    try:
        pointer = desk.promote(due.model_version, actor=ACTOR, now=now)
    except (PromotionRefused, BundleRefused, UnknownId) as refusal:
        log.info("incremental_kept", model_version=due.model_version, reason=refusal.detail)
        return None, replace(state, waiting=later)
    return pointer, replace(state, waiting=later)


def _due(state: State, desk: Desk, *, now: datetime) -> Waiting | None:
    rows = read_matured(desk.settings, desk.ledger, desk.schema, as_of=now)
    try:
        dataset = rows.dataset()
    except ModelRefused as refusal:
        log.info("incremental_not_judged", reason=refusal.detail)
        return None
    begins_s = float(dataset.times[dataset.split.test].min())
    old_enough = [one for one in state.waiting if one.until_s <= begins_s - rows.label_delay_s]
    return max(old_enough, key=lambda one: one.until_s, default=None)
