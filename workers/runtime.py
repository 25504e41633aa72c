"""What a scoring or bulk worker process holds: its Redis client, its model, its heartbeat. Built once, at start."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import redis

from config.contracts import WorkerReport, WorkInHand
from config.queue.inbox import Inbox
from config.settings import Settings
from workers import metrics
from workers.heartbeat import Heartbeat
from workers.holder import Challenging, Load, ModelHolder
from workers.pair_counts import PairTally
from workers.store import Finished, Observed, TransactionStore


class ScoringRuntime:
    """The parts that scoring tasks use. `start` begins the threads; `wait_until_ready` blocks for the first model."""

    def __init__(
        self, settings: Settings, client: redis.Redis, *, worker: str, load: Load, role: str = "scoring"
    ) -> None:
        self.settings = settings
        self.client = client
        self.worker = worker
        self._role = role
        self.store = TransactionStore(client, settings)
        self.inbox = Inbox(client, settings)
        self._work: WorkInHand | None = None
        tally = PairTally()
        self.holder = ModelHolder(
            client, load, poll_s=settings.champion_poll_s, on_change=self._report_soon, tally=tally
        )
        self.heartbeat = Heartbeat(client, self.report, settings.heartbeat_s, carry=tally.write)

    def start(self) -> None:
        """Begin to follow the champion pointer and to report."""
        self.holder.start()
        self.heartbeat.start()

    def sign_off(self) -> None:
        """This worker ends in order: nobody waits for its answers."""
        self.heartbeat.sign_off(self.worker)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Marks the time inside a batch, which the supervisor's watchdog reads from the heartbeat."""
        self._work = WorkInHand("batch", time.time())
        try:
            yield
        finally:
            self._work = None

    def stage(self, name: str) -> AbstractContextManager[object]:
        """Time one stage of a batch."""
        return metrics.stage(name)

    def count(self, observed: Sequence[Observed], finished: Sequence[Finished]) -> None:
        """Count what a batch came to."""
        metrics.count_batch(observed, finished)

    def report(self) -> WorkerReport:
        """This worker, as its heartbeat says it."""
        served = self.holder.served
        return WorkerReport(
            worker=self.worker,
            role=self._role,
            model_version=served.model_version if served else None,
            digest=served.digest if served else None,
            status=self.holder.status,
            loaded_at=served.loaded_at if served else None,
            generation=self.holder.generation,
            detail=self.holder.detail,
            challenger=_told(self.holder.challenging),
            work=self._work,
        )

    def _report_soon(self) -> None:
        self.heartbeat.beat_soon()


def _told(challenging: Challenging | None) -> str:
    if challenging is None:
        return ""
    pointer = challenging.pointer
    if challenging.scorer is None:
        return f"{pointer.model_version} refused: {challenging.detail}"
    return f"{pointer.model_version} {pointer.role}"


_runtime: ScoringRuntime | None = None


def install(runtime: ScoringRuntime) -> None:
    """Make `runtime` the one that this process's tasks use. Called once, at worker start."""
    global _runtime
    _runtime = runtime


def scoring_runtime() -> ScoringRuntime:
    """The installed runtime. Raises RuntimeError in a process that is not a scoring worker."""
    if _runtime is None:
        raise RuntimeError("no scoring runtime: this process was not started with TOLLGATE_ROLE=scoring")
    return _runtime
