"""What happens now, for the console's first page: traffic, latency, decisions, queues, workers. Read in one go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from config import names
from config.errors import BrokerUnavailable
from config.queue import pulse
from config.queue.pulse import Slot
from config.queue.stats import WorkerBeat
from web.ports.gateway import ScoringGateway
from web.pulse import latency_quantile_ms, requests_in
from web.shapes.health import Trouble
from web.trouble import troubles

ACTIONS: Final = ("approve", "review", "decline")
CHART_S: Final = 300
SUMMED_S: Final = 60
SILENT: Final = "silent"
NO_ROLE: Final = "–"


class Curves(msgspec.Struct, frozen=True):
    """One value per slot of two seconds, oldest first; None where nothing was asked. `at_s`: Unix seconds."""

    at_s: list[int]
    requests_per_s: list[float]
    p50_ms: list[float | None]
    p99_ms: list[float | None]
    approve_per_s: list[float]
    review_per_s: list[float]
    decline_per_s: list[float]


class Now(msgspec.Struct, frozen=True):
    """The last minute. Shares are of its decisions; None without any. `refused`: scoring requests answered 5xx.

    Rates and counts are None while the broker, which knows them, does not answer.
    """

    requests_per_s: float | None
    refused: int | None
    p50_ms: float | None
    p99_ms: float | None
    decisions: int | None
    decisions_per_s: float | None
    approve_share: float | None
    review_share: float | None
    decline_share: float | None


NOT_KNOWN: Final = Now(*[None] * len(Now.__struct_fields__))


class QueueState(msgspec.Struct, frozen=True):
    """One queue. `oldest_age_s`: since the message that is consumed next was pushed."""

    queue: str
    depth: int
    oldest_age_s: float


class WorkerState(msgspec.Struct, frozen=True):
    """One worker of the last hour. `status`: what it said last, "silent" when its heartbeat stopped."""

    worker: str
    role: str
    status: str
    model_version: str | None
    loaded_at: str | None
    heartbeat_age_s: float
    is_champion: bool


class Overview(msgspec.Struct, frozen=True):
    """Everything, with what is wrong first. While the broker is down, what only it knows is empty or None."""

    wrong: list[Trouble]
    is_ready: bool
    is_broker_up: bool
    detail: str
    model_version: str | None
    promoted_at: str | None
    now: Now
    curves: Curves
    queues: list[QueueState]
    inbox: int | None
    dead_letters: int | None
    journal: int | None
    workers: list[WorkerState]


def read_overview(
    gateway: ScoringGateway, *, since_s: int = 0, now_s: float, is_ledger_up: Callable[[], bool]
) -> Overview:
    """`since_s`: only curves after this slot, for a page that has the rest already. Never raises."""
    health = gateway.health()
    try:
        slots, stats, beats = _slots(gateway, since_s, now_s), gateway.queue_stats(), gateway.worker_beats()
    except BrokerUnavailable:
        # `health` says so; the page must be seen above all when something is down.
        slots, stats, beats = [], {}, []
    champion = health.champion or {}
    return Overview(
        wrong=troubles(health, stats, is_ledger_up=is_ledger_up()),
        is_ready=health.is_ready,
        is_broker_up=health.is_broker_up,
        detail=health.detail,
        model_version=health.model_version,
        promoted_at=champion.get("promoted_at"),
        now=_now(slots[-SUMMED_S // pulse.SLOT_S :]) if stats else NOT_KNOWN,
        curves=_curves([slot for slot in slots if slot.at_s > since_s]),
        queues=[_queue(queue, stats) for queue in names.QUEUES] if stats else [],
        inbox=_count(stats, "inbox_entries"),
        dead_letters=_count(stats, "dead_letters"),
        journal=_count(stats, "journal_length", "journal_bulk_entries"),
        workers=[_worker(beat, health.model_version) for beat in beats],
    )


def _count(stats: Mapping[str, float], *keys: str) -> int | None:
    return int(sum(stats.get(key, 0) for key in keys)) if stats else None


def _slots(gateway: ScoringGateway, since_s: int, now_s: float) -> list[Slot]:
    missed_s = int(now_s) - since_s + pulse.SLOT_S
    return [*gateway.pulse(for_s=min(CHART_S, max(SUMMED_S, missed_s)))]


def _now(slots: Sequence[Slot]) -> Now:
    seconds = max(1, len(slots) * pulse.SLOT_S)
    counts = [slot.counts for slot in slots]
    actions = [sum(slot.get(pulse.decided(action), 0) for slot in counts) for action in ACTIONS]
    decisions = sum(actions)
    approve, review, decline = [n / decisions if decisions else None for n in actions]
    refused = sum(count for slot in counts for name, count in slot.items() if name.startswith("answered:5"))
    return Now(
        requests_per_s=sum(map(requests_in, slots)) / seconds,
        refused=refused,
        p50_ms=latency_quantile_ms(counts, 0.5),
        p99_ms=latency_quantile_ms(counts, 0.99),
        decisions=decisions,
        decisions_per_s=decisions / seconds,
        approve_share=approve,
        review_share=review,
        decline_share=decline,
    )


def _curves(slots: Sequence[Slot]) -> Curves:
    return Curves(
        at_s=[slot.at_s for slot in slots],
        requests_per_s=[requests_in(slot) / pulse.SLOT_S for slot in slots],
        p50_ms=[latency_quantile_ms(slot.counts, 0.5) for slot in slots],
        p99_ms=[latency_quantile_ms(slot.counts, 0.99) for slot in slots],
        approve_per_s=_decided_per_s(slots, "approve"),
        review_per_s=_decided_per_s(slots, "review"),
        decline_per_s=_decided_per_s(slots, "decline"),
    )


def _decided_per_s(slots: Sequence[Slot], action: str) -> list[float]:
    return [slot.counts.get(pulse.decided(action), 0) / pulse.SLOT_S for slot in slots]


def _queue(queue: str, stats: dict[str, float]) -> QueueState:
    return QueueState(queue, int(stats.get(f"queue_depth_{queue}", 0)), stats.get(f"queue_oldest_age_s_{queue}", 0.0))


def _worker(beat: WorkerBeat, champion: str | None) -> WorkerState:
    report = beat.report
    return WorkerState(
        worker=beat.worker,
        role=report.role if report else NO_ROLE,
        status=report.status if report else SILENT,
        model_version=report.model_version if report else None,
        loaded_at=report.loaded_at if report else None,
        heartbeat_age_s=beat.age_s,
        is_champion=report is not None and report.model_version is not None and report.model_version == champion,
    )
