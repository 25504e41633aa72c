"""The models in a scoring worker's memory: loaded aside, verified, swapped between batches.

Two pointers in Redis are the truth: the champion's, and the challenger's where one is compared with it. The reload
broadcast only makes the worker look sooner. While Redis is away the worker keeps the bundles that it has.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import redis
import structlog

from config.collector import keep
from config.contracts import ChallengerPointer, ChampionPointer
from config.errors import BundleRefused
from config.queue.stats import read_challenger, read_champion
from workers import metrics
from workers.pair import PairScorer
from workers.pair_counts import PairTally
from workers.scorer import BatchScorer

log = structlog.get_logger(__name__)

Load = Callable[[ChampionPointer | ChallengerPointer], BatchScorer]


@dataclass(frozen=True, slots=True)
class Served:
    """What this worker serves and since when; `generation` is the newest pointer it has answered."""

    scorer: BatchScorer
    model_version: str
    digest: str
    loaded_at: str


@dataclass(frozen=True, slots=True)
class Challenging:
    """The challenger's pointer as it was answered: with its scorer, or with why it was refused."""

    pointer: ChallengerPointer
    scorer: BatchScorer | None
    detail: str = ""


class ModelHolder(threading.Thread):
    """Compares what is served with the pointers every `poll_s`; `scorer` is always a whole, warm one.

    `load` must verify the bundle and warm it up: what it returns goes straight into service. It runs on this thread,
    so scoring goes on meanwhile with the old models. A challenger that is refused changes nothing for the champion.
    """

    def __init__(
        self,
        client: redis.Redis,
        load: Load,
        *,
        poll_s: float,
        on_change: Callable[[], None],
        tally: PairTally | None = None,
    ) -> None:
        super().__init__(name="tollgate-model-holder", daemon=True)
        self._client = client
        self._load = load
        self._poll_s = poll_s
        self._on_change = on_change
        self._tally = tally or PairTally()
        self._look = threading.Event()
        self._is_loaded = threading.Event()
        self._lock = threading.Lock()
        self._scorer: BatchScorer | PairScorer | None = None
        self.served: Served | None = None
        self.challenging: Challenging | None = None
        self.status = "waiting for a model"
        self.detail = ""
        self.generation = 0

    @property
    def scorer(self) -> BatchScorer | PairScorer:
        """The scorer to use for the next batch. Raises RuntimeError before the first model is loaded."""
        if self._scorer is None:
            raise RuntimeError("no model is loaded; wait_until_loaded() first")
        return self._scorer

    def wait_until_loaded(self, timeout_s: float | None = None) -> bool:
        """Block until the first model is in service; False when `timeout_s` passed first."""
        return self._is_loaded.wait(timeout_s)

    def look_soon(self) -> None:
        """Compare with the pointers now: somebody says one changed."""
        self._look.set()

    def run(self) -> None:
        """Follow the pointers for ever."""
        while True:
            try:
                self.follow()
            except redis.RedisError as error:
                log.warning("champion_pointer_unreachable", error=str(error))
            self._look.wait(self._poll_s)
            self._look.clear()

    def follow(self) -> None:
        """Load what the pointers name if they have not been answered yet. Raises RedisError.

        A new generation of the champion's pointer looks at a refused challenger again.
        """
        with self._lock:
            champion, challenger = read_champion(self._client), read_challenger(self._client)
            is_new = champion is not None and champion.generation != self.generation
            if champion is not None and is_new:
                self._answer(champion)
            if not self._follow_challenger(challenger, is_asked_again=is_new) and not is_new:
                return
            self._combine()
        self._on_change()

    def _answer(self, pointer: ChampionPointer) -> None:
        try:
            scorer = self._load(pointer)
        except BundleRefused as error:
            self.status, self.detail = "refused", str(error)
            metrics.MODEL_RELOADS.labels("refused").inc()
            _refuse("champion", pointer, error)
        else:
            loaded_at = datetime.now(UTC).isoformat(timespec="milliseconds")
            self.served = Served(scorer, pointer.model_version, pointer.digest, loaded_at)
            self.status, self.detail = "serving", ""
            metrics.MODEL_RELOADS.labels("serving").inc()
            log.info("model_serving", model_version=pointer.model_version, digest=pointer.digest)
        self.generation = pointer.generation

    def _follow_challenger(self, pointer: ChallengerPointer | None, *, is_asked_again: bool) -> bool:
        """Answer the challenger's pointer; False when nothing changed."""
        held = self.challenging
        if pointer == (held.pointer if held else None) and not (is_asked_again and held and held.scorer is None):
            return False
        self.challenging = None if pointer is None else self._challenge(pointer)
        return True

    def _challenge(self, pointer: ChallengerPointer) -> Challenging:
        held = self.challenging
        if held is not None and held.scorer is not None and held.pointer.digest == pointer.digest:
            return Challenging(pointer, held.scorer)
        try:
            scorer = self._load(pointer)
        except BundleRefused as error:
            _refuse("challenger", pointer, error)
            return Challenging(pointer, None, str(error))
        log.info("challenger_loaded", model_version=pointer.model_version, role=pointer.role, share=pointer.share)
        return Challenging(pointer, scorer)

    def _combine(self) -> None:
        """One model alone, or both; a champion that is its own challenger (a promotion under way) needs no second."""
        served, challenging = self.served, self.challenging
        if served is None:
            return
        if challenging is None or challenging.scorer is None or challenging.pointer.digest == served.digest:
            self._scorer = served.scorer
        else:
            self._scorer = PairScorer(served.scorer, challenging.scorer, challenging.pointer, self._tally)
        keep()
        self._is_loaded.set()


def _refuse(which: str, pointer: ChampionPointer | ChallengerPointer, error: BundleRefused) -> None:
    metrics.BUNDLES_REFUSED.labels(which).inc()
    log.error("bundle_refused", pointer=which, model_version=pointer.model_version, reason=str(error))
