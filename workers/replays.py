"""The task that rebuilds one decision from the ledger and its bundle: what `tollgate replay DECISION_ID` does."""

from __future__ import annotations

from typing import Any

import msgspec
import redis
import structlog
from celery import shared_task
from msgspec.structs import replace

from config import names
from config.errors import TollgateError
from config.queue.replays import ReplayRequest, read_replay, write_replay
from config.tenants import sent_id
from workers.background import BackgroundRuntime, background_runtime

log = structlog.get_logger(__name__)


@shared_task(name=names.TASK_REPLAY_DECISION, ignore_result=True, acks_late=True, soft_time_limit=60, time_limit=90)
def replay_stored_decision(replay_id: str) -> None:
    """Rebuild and compare once; doing so again changes nothing. Nothing when the request has expired."""
    runtime = background_runtime()
    request = read_replay(runtime.client, replay_id)
    if request is not None and request.status == "queued":
        run_replay(runtime, request)


def run_replay(runtime: BackgroundRuntime, request: ReplayRequest) -> None:
    """Write down what came of it, whatever happens."""
    try:
        done = replace(request, status="done", result=_rebuilt(runtime, request.decision_id))
    except (TollgateError, redis.RedisError) as error:
        done = replace(request, status="failed", detail=str(error))
    except Exception as error:
        write_replay(runtime.client, replace(request, status="failed", detail=type(error).__name__))
        raise
    write_replay(runtime.client, done)
    log.info("decision_replayed", decision=request.decision_id, status=done.status)


def _rebuilt(runtime: BackgroundRuntime, decision_id: str) -> dict[str, Any]:
    stored = runtime.ledger.decision_by_id(decision_id)
    if stored is None:
        raise TollgateError("the ledger does not hold this decision any more")
    # Imported here: the science takes seconds and memory, and most background workers never replay anything.
    from ml.replay.run import replay_decision
    from ml.replay.shelf import BundleShelf

    replayed = replay_decision(runtime.ledger, BundleShelf(runtime.settings.model_dir), stored)
    # As the tenant that asks for it sent it.
    found: dict[str, Any] = msgspec.to_builtins(replace(replayed, transaction_id=sent_id(replayed.transaction_id)))
    return found
