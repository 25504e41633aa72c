"""Asking again: a server that restarts, is busy or asks to wait is no reason to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from deploy.traffic.client import Unreachable

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 5.0
GIVE_UP_AFTER_S: Final = 900.0
_NO_ANSWER: Final = frozenset({502, 503, 504})
_IN_PROGRESS: Final = "request_in_progress"


class Reply(Protocol):
    """What is looked at in an answer."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> dict[str, object]: ...
    @property
    def retry_after_s(self) -> float: ...


R = TypeVar("R", bound=Reply)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on without an answer. A server that asks to wait, since others or this very request are before it,
    has answered; one that says 503, or a proxy for it, has not.

    `say` hears why it waits, and an empty text when it goes on.
    """

    say: Callable[[str], None] = lambda _why: None
    give_up_after_s: float = GIVE_UP_AFTER_S
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def ask(self, request: Callable[[], R]) -> R:
        """The first answer that is not "later". Only for what may be sent twice.

        Raises:
            Unreachable: no answer for `give_up_after_s`.
        """
        heard_at, pause_s = self.clock(), FIRST_PAUSE_S
        while True:
            try:
                reply = request()
                if not is_temporary(reply):
                    self.say("")
                    return reply
                why, wait_s = f"the server says {reply.status}", max(pause_s, reply.retry_after_s)
                if asks_to_wait(reply):
                    heard_at = self.clock()
            except Unreachable as error:
                why, wait_s = error.detail, pause_s
            if self.clock() - heard_at > self.give_up_after_s:
                raise Unreachable(f"no answer for {self.give_up_after_s:.0f} s: {why}")
            self.say(f"waiting: {why}")
            self.sleep(wait_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def is_temporary(reply: Reply) -> bool:
    """Whether the same request may be answered otherwise in a while."""
    return reply.status in _NO_ANSWER or asks_to_wait(reply)


def asks_to_wait(reply: Reply) -> bool:
    """Whether the server works and the request's turn has not come: a budget, open batches, the same one under way."""
    return reply.status == 429 or (reply.status == 409 and reply.body.get("code") == _IN_PROGRESS)
