"""Housekeeping: what must not grow for ever is shrunk, expired or deleted once a minute (docs/retention.md).

Every part is idempotent, bounded per tick and safe beside another one; what is left over waits for the next tick.
"""

from __future__ import annotations

from collections.abc import Callable

import redis
import structlog
from celery import shared_task

from config import names
from config.errors import TollgateError
from workers import metrics
from workers.background import BackgroundRuntime, background_runtime
from workers.ticks import is_superseded
from workers.upkeep.audit import seal_audit
from workers.upkeep.batches import expire_batches, remove_orphans
from workers.upkeep.dead_letters import drop_dead_letters
from workers.upkeep.ledger import prune_ledger
from workers.upkeep.results import shrink_old_results

log = structlog.get_logger(__name__)

Part = Callable[[BackgroundRuntime], dict[str, int]]
PARTS: tuple[Part, ...] = (
    shrink_old_results,
    expire_batches,
    remove_orphans,
    drop_dead_letters,
    prune_ledger,
    seal_audit,
)


@shared_task(name=names.TASK_KEEP_HOUSE, ignore_result=True, acks_late=True, soft_time_limit=60, time_limit=90)
def keep_house() -> None:
    """Do every part once. One that fails (the ledger is down) does not stop the others."""
    runtime = background_runtime()
    if is_superseded(runtime.client):
        return
    for part in PARTS:
        _do(part, runtime)


def _do(part: Part, runtime: BackgroundRuntime) -> None:
    try:
        counts = part(runtime)
    except (TollgateError, redis.RedisError, OSError) as error:
        log.warning("housekeeping_failed", part=part.__name__, error=str(error))
        return
    for kind, number in counts.items():
        metrics.HOUSEKEEPING.labels(kind).inc(number)
        if number:
            log.info("house_kept", kind=kind, number=number)
