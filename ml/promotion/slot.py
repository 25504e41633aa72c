"""The challenger's slot: the one model that scoring workers load beside the champion. A pointer in Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import redis

from config import names
from config.contracts import ChallengerPointer, ChallengerRole, ChampionPointer, ScoreProfile
from config.errors import BrokerUnavailable
from config.queue.stats import read_challenger
from ml.registry import StoredBundle


@dataclass(frozen=True, slots=True)
class ChallengerSlot:
    """Who is compared with the champion. Every method raises BrokerUnavailable; workers follow within a second."""

    client: redis.Redis

    def current(self) -> ChallengerPointer | None:
        """The challenger, or None."""
        with _answering():
            return read_challenger(self.client)

    def has_room(self, *, now: datetime, max_age_s: float) -> bool:
        """Whether a new challenger may take the slot: a canary, a watch, a shadow that gathers evidence stay."""
        held = self.current()
        if held is None:
            return True
        return held.role == "shadow" and now - datetime.fromisoformat(held.since) > timedelta(seconds=max_age_s)

    def put(
        self,
        model: StoredBundle | ChampionPointer,
        role: ChallengerRole,
        *,
        champion: ChampionPointer,
        now: datetime,
        share: float = 0.0,
        minutes: float | None = None,
        expected: ScoreProfile | None = None,
    ) -> ChallengerPointer:
        """Load `model` beside `champion` from now on, whoever had the slot. `minutes`: until then, None: no end.
        `expected`: see `ChallengerPointer`.
        """
        pointer = ChallengerPointer(
            model_version=model.model_version,
            digest=model.digest,
            path=model.path,
            role=role,
            against=champion.digest,
            since=now.isoformat(timespec="milliseconds"),
            share=share,
            until=None if minutes is None else (now + timedelta(minutes=minutes)).isoformat(timespec="milliseconds"),
            expected=expected,
        )
        with _answering():
            self.client.set(names.CHALLENGER, msgspec.json.encode(pointer))
        return pointer

    def clear(self, pointer: ChallengerPointer) -> bool:
        """Empty the slot if this is still what it holds; False when somebody else was quicker."""
        with _answering(), self.client.pipeline() as pipe:
            try:
                pipe.watch(names.CHALLENGER)
                if read_challenger(pipe) != pointer:
                    return False
                pipe.multi()
                pipe.delete(names.CHALLENGER, names.GUARD)
                pipe.execute()
            except redis.WatchError:
                return False
        return True


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise BrokerUnavailable(f"the broker does not answer, the challenger stays: {error}") from error
