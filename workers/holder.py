"""The model in a scoring worker's memory: loaded aside, verified, swapped between batches.

The champion pointer in Redis is the truth; the reload broadcast only makes the worker look sooner. While Redis is
away the worker keeps the bundle that it has.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import redis
import structlog

from config.collector import keep
from config.contracts import ChampionPointer
from config.errors import BundleRefused
from config.queue.stats import read_champion
from workers import metrics
from workers.scorer import BatchScorer

log = structlog.get_logger(__name__)

Load = Callable[[ChampionPointer], BatchScorer]


@dataclass(frozen=True, slots=True)
class Served:
    """What this worker serves and since when; `generation` is the newest pointer it has answered."""

    scorer: BatchScorer
    model_version: str
    digest: str
    loaded_at: str


class ModelHolder(threading.Thread):
    """Compares the served model with the champion pointer every `poll_s`; `scorer` is always a whole, warm one.

    `load` must verify the bundle and warm it up: what it returns goes straight into service. It runs on this thread,
    so scoring goes on meanwhile with the old model.
    """

    def __init__(self, client: redis.Redis, load: Load, *, poll_s: float, on_change: Callable[[], None]) -> None:
        super().__init__(name="tollgate-model-holder", daemon=True)
        self._client = client
        self._load = load
        self._poll_s = poll_s
        self._on_change = on_change
        self._look = threading.Event()
        self._is_loaded = threading.Event()
        self._lock = threading.Lock()
        self.served: Served | None = None
        self.status = "waiting for a model"
        self.detail = ""
        self.generation = 0

    @property
    def scorer(self) -> BatchScorer:
        """The scorer to use for the next batch. Raises RuntimeError before the first model is loaded."""
        if self.served is None:
            raise RuntimeError("no model is loaded; wait_until_loaded() first")
        return self.served.scorer

    def wait_until_loaded(self, timeout_s: float | None = None) -> bool:
        """Block until the first model is in service; False when `timeout_s` passed first."""
        return self._is_loaded.wait(timeout_s)

    def look_soon(self) -> None:
        """Compare with the pointer now: somebody says it changed."""
        self._look.set()

    def run(self) -> None:
        """Follow the pointer for ever."""
        while True:
            try:
                self.follow()
            except redis.RedisError as error:
                log.warning("champion_pointer_unreachable", error=str(error))
            self._look.wait(self._poll_s)
            self._look.clear()

    def follow(self) -> None:
        """Load what the pointer names if this generation has not been answered yet. Raises RedisError."""
        with self._lock:
            pointer = read_champion(self._client)
            if pointer is None or pointer.generation == self.generation:
                return
            self._answer(pointer)
        self._on_change()

    def _answer(self, pointer: ChampionPointer) -> None:
        try:
            scorer = self._load(pointer)
        except BundleRefused as error:
            self.status, self.detail = "refused", str(error)
            metrics.MODEL_RELOADS.labels("refused").inc()
            log.error("bundle_refused", model_version=pointer.model_version, reason=str(error))
        else:
            loaded_at = datetime.now(UTC).isoformat(timespec="milliseconds")
            self.served = Served(scorer, pointer.model_version, pointer.digest, loaded_at)
            self.status, self.detail = "serving", ""
            metrics.MODEL_RELOADS.labels("serving").inc()
            keep()
            self._is_loaded.set()
            log.info("model_serving", model_version=pointer.model_version, digest=pointer.digest)
        self.generation = pointer.generation
