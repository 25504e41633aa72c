"""Guards the newer of two models while both score the same transactions: a canary, or a champion just promoted.

Called by beat every few seconds. A broken guardrail ends the canary or brings the former champion back; a canary that
keeps them until its time is over becomes the champion, if the gate started it.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
import redis

from config import names
from config.contracts import ChallengerPointer, ChampionPointer
from config.settings import Settings
from ml.guard.check import GuardLimits, GuardReport, check_pair
from ml.guard.counts import KEPT_MINUTES, PairCounts
from ml.promotion.desk import Desk
from ml.promotion.trail import Trail

GuardAction = Literal["canary_ended", "promoted", "rolled_back", "watch_ended"]
ACTOR: Final = "guard"
REPORT_LIFETIME_S: Final = 600


def watch_challenger(desk: Desk, *, now: datetime) -> GuardAction | None:
    """Look once, and act; None when there was nothing to do. The report goes to where GET /models finds it.

    Raises BrokerUnavailable, LedgerUnavailable, UnknownId, BundleRefused, RedisError.
    """
    champion, held = desk.champion(), desk.slot.current()
    if champion is None or held is None:
        return None
    if held.against != champion.digest and held.role != "shadow":
        return _outdated(desk, held, champion, now)
    counts = read_counts(desk.client, desk.settings, champion, held, now=now)
    report = check_pair(counts, guard_limits(desk.settings), expected=held.expected)
    _publish(desk.client, held, report, now)
    if held.role == "canary":
        return _canary(desk, held, champion, report, now)
    return _watch(desk, held, report, now) if held.role == "watch" else None


def guard_limits(settings: Settings) -> GuardLimits:
    """The guard's limits under these settings."""
    return GuardLimits(
        min_rows=settings.guard_min_rows,
        error_rate=settings.guard_max_error_rate,
        latency_ratio=settings.guard_max_latency_ratio,
        alert_ratio=settings.guard_max_alert_ratio,
        psi=settings.guard_max_psi,
    )


def read_counts(
    client: redis.Redis, settings: Settings, champion: ChampionPointer, held: ChallengerPointer, *, now: datetime
) -> PairCounts:
    """What workers counted about the two in the guard's window. Where that is too little to judge by, it begins as many
    minutes earlier as it takes, at most when the comparison began. Raises RedisError.
    """
    minute = int(now.timestamp() // 60)
    since = max(minute - KEPT_MINUTES, int(datetime.fromisoformat(held.since).timestamp() // 60))
    pipe = client.pipeline(transaction=False)
    for one in range(minute, since - 1, -1):
        pipe.hgetall(names.pair_key(champion.digest, held.digest, one))
    fields: Counter[str] = Counter()
    for age, stored in enumerate(pipe.execute()):
        if age > settings.guard_window_minutes and fields["rows"] >= settings.guard_min_rows:
            break
        fields.update({name.decode(): int(count) for name, count in stored.items()})
    return PairCounts.read(fields, newer="champion" if held.role == "watch" else "challenger")


def _outdated(desk: Desk, held: ChallengerPointer, champion: ChampionPointer, now: datetime) -> GuardAction | None:
    """Somebody else promoted or rolled back meanwhile: what was compared is no longer the question."""
    if not desk.slot.clear(held):
        return None
    if held.role == "watch":
        return "watch_ended"
    reasons = ["another model became the champion"]
    Trail(desk.ledger, ACTOR, now).record("canary_ended", champion.model_version, held.model_version, reasons)
    return "canary_ended"


def _canary(
    desk: Desk, held: ChallengerPointer, champion: ChampionPointer, report: GuardReport, now: datetime
) -> GuardAction | None:
    trail = Trail(desk.ledger, ACTOR, now)
    if report.broken:
        if not desk.slot.clear(held):
            return None
        trail.record("canary_ended", champion.model_version, held.model_version, report.broken)
        return "canary_ended"
    if not report.is_enough or not _is_over(held, now):
        return None
    stored = desk.bundle(held.model_version)
    desk.require_intact(stored)
    reasons = [f"a canary of {held.share:g} kept its guardrails on {report.rows:,} transactions", *report.figures]
    desk.move(stored, champion, "promoted", reasons, trail, is_watched=True, expected=held.expected)
    return "promoted"


def _watch(desk: Desk, held: ChallengerPointer, report: GuardReport, now: datetime) -> GuardAction | None:
    if report.broken:
        desk.roll_back(actor=ACTOR, now=now, reasons=report.broken)
        return "rolled_back"
    if not _is_over(held, now):
        return None
    desk.slot.clear(held)
    return "watch_ended"


def _is_over(held: ChallengerPointer, now: datetime) -> bool:
    return held.until is not None and now >= datetime.fromisoformat(held.until)


def _publish(client: redis.Redis, held: ChallengerPointer, report: GuardReport, now: datetime) -> None:
    shown: dict[str, Any] = {
        "checked_at": now.isoformat(timespec="seconds"),
        "model_version": held.model_version,
        "role": held.role,
        **msgspec.to_builtins(report),
    }
    client.set(names.GUARD, msgspec.json.encode(shown), ex=REPORT_LIFETIME_S)
