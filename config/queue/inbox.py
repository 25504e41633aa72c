"""Accepted work as a worker takes it out of the inbox: claim it, then finish it, or say why it was not finished.

One implementation for transactions, labels and batches. Finishing is the task's own script, which deletes the entry
together with writing the result. Attempts are executions begun (ADR 0014): waiting costs none, and neither does an
attempt that lost the broker.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import redis
import structlog

from config import names
from config.errors import TollgateError
from config.queue.broker_state import is_broker_failure
from config.queue.server_scripts import register
from config.settings import Settings

LONGEST_DELAY_S = 60.0
REASON_MAX_LENGTH = 200

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt at one entry. `attempt` counts from 1; `deferrals`: how often the entry was put off before."""

    entry_id: str
    payload: bytes
    attempt: int
    deferrals: int


class Inbox:
    """The inbox on the worker's side. Every call raises RedisError; an entry nobody settles is overdue after its lease.

    One per process and thread: it remembers the attempts that the broker failed. `rng` draws the jitter of delays.
    """

    def __init__(self, client: redis.Redis, settings: Settings, *, rng: random.Random | None = None) -> None:
        self._attempts = settings.inbox_attempts
        self._lease_s = settings.inbox_overdue_s
        self._claim = register(client, "claim")
        self._retry = register(client, "retry")
        self._keep = register(client, "keep")
        self._rng = rng or random.Random()  # noqa: S311  jitter, not a secret
        self._interrupted: list[Claim] = []

    def claim(self, entry_id: str, *, lease_s: int | None = None) -> Claim | None:
        """Begin an attempt, or None: the entry is finished, a dead letter, or became one now, all attempts used up.

        `lease_s`: how long the attempt may take before the entry counts as overdue [`inbox_overdue_s`].
        """
        self.hand_back()
        answer: Any = self._claim(keys=_keys(entry_id), args=[entry_id, self._attempts, lease_s or self._lease_s])
        if not answer:
            return None
        if answer[0] == b"X":
            log.error("dead_letter", entry=entry_id, task=answer[1].decode(), attempts=self._attempts)
            return None
        return Claim(entry_id, answer[1], attempt=answer[2], deferrals=answer[3])

    def fail(self, claim: Claim, reason: str) -> None:
        """The attempt failed: the next is due after 1 s, 2 s, 4 s, ..., or the entry is a dead letter now."""
        if self._settle(claim, reason, most=self._attempts, delay_s=self._delay_s(claim.attempt - 1)):
            log.error("dead_letter", entry=claim.entry_id, attempts=claim.attempt, reason=reason)
        else:
            log.warning("attempt_failed", entry=claim.entry_id, attempt=claim.attempt, reason=reason)

    def give_up(self, claim: Claim, reason: str) -> None:
        """No attempt can do it, now or later: the entry is a dead letter, unless a later attempt is at work."""
        if self._settle(claim, reason, most=claim.attempt, delay_s=0.0):
            log.error("dead_letter", entry=claim.entry_id, attempts=claim.attempt, reason=reason)

    def defer(self, claim: Claim, reason: str) -> None:
        """What the work needs is not there yet: this attempt does not count, the next is due after 1 s up to 60 s."""
        self._settle(claim, reason, most=0, delay_s=self._delay_s(claim.deferrals))

    def keep(self, claim: Claim, rest: bytes) -> None:
        """The rest of the work, where some of it is done: what the next attempt gets. Nothing once one began."""
        self._keep(keys=[names.inbox_key(claim.entry_id)], args=[claim.attempt, rest])

    @contextmanager
    def failures_recorded(self, claim: Claim) -> Iterator[None]:
        """What is raised inside is recorded as this attempt's failure, and goes on.

        A broker that fails is none of the work: that attempt is given back before this worker's next one.
        """
        try:
            yield
        except Exception as error:
            if is_broker_failure(error):
                self._interrupted.append(claim)
            else:
                with suppress(redis.RedisError):  # then the lease brings the entry back
                    self.fail(claim, reason_of(error))
            raise

    def hand_back(self) -> None:
        """Give back the attempts that the broker failed; before the next work is taken, however that is done."""
        while self._interrupted:
            self.defer(self._interrupted[-1], "the broker failed")
            self._interrupted.pop()

    def _settle(self, claim: Claim, reason: str, *, most: int, delay_s: float) -> bool:
        args: list[Any] = [claim.entry_id, claim.attempt, most, delay_s, reason[:REASON_MAX_LENGTH]]
        return bool(self._retry(keys=_keys(claim.entry_id), args=args))

    def _delay_s(self, earlier: int) -> float:
        """1 s, doubled for each earlier one, at most a minute; then half to all of it, at random."""
        return min(LONGEST_DELAY_S, 2.0 ** min(earlier, 10)) * self._rng.uniform(0.5, 1.0)


def reason_of(error: BaseException) -> str:
    """An error as an operator may read it: ours in full, any other by name, since its text may quote values."""
    return error.detail if isinstance(error, TollgateError) else type(error).__name__


def _keys(entry_id: str) -> list[str]:
    return [names.inbox_key(entry_id), names.INBOX_DUE, names.DEAD_LETTERS]
