"""Finds the row of a chunk that kills its workers, so that its neighbours are scored all the same.

A chunk that is tried again is done row by row, and before each row its number is written into the chunk's inbox
entry. A row that was under way at two deaths in a row is given up. An error is no death: whoever could raise it lives,
and takes the number out again. (One that loses the broker as well cannot: its row is suspected once.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import redis

from config.queue.server_scripts import register

FIELD = "suspect"
GIVEN_UP = "given_up"
NOBODY = "0 0"
DEATHS = 2


class Suspects:
    """What earlier attempts left in one chunk's inbox entry (`key`). `attempt`: the one that is at work."""

    def __init__(self, client: redis.Redis, key: str, *, attempt: int) -> None:
        self._client = client
        self._key = key
        self._attempt = attempt
        self._mark = register(client, "suspect")
        stored: Any = client.hmget(key, FIELD, GIVEN_UP)
        row, _, deaths = (stored[0] or NOBODY.encode()).decode().partition(" ")
        self._row, self._deaths = int(row), int(deaths)
        self.given_up = frozenset(int(number) for number in (stored[1] or b"").split())
        if self._row and self._deaths >= DEATHS:
            self._give_up(self._row)

    @contextmanager
    def cleared_unless_killed(self) -> Iterator[None]:
        """Rows are tried inside: only a process that dies there leaves one suspected."""
        try:
            yield
        except Exception:
            # The broker may be what failed: what was raised first is what is told.
            with suppress(redis.RedisError):
                self._clear()
            raise
        self._clear()

    def begin(self, row: int) -> None:
        """Row number `row` is about to be scored alone."""
        deaths = self._deaths if row == self._row else 0
        # Rows that kill are counted here, so they must not use up the attempts of the chunk as well.
        self._mark(keys=[self._key], args=[f"{row} {deaths + 1}", 1])

    def _clear(self) -> None:
        self._mark(keys=[self._key], args=[NOBODY, self._attempt])

    def _give_up(self, row: int) -> None:
        self.given_up |= {row}
        self._client.hset(self._key, mapping={FIELD: NOBODY, GIVEN_UP: " ".join(map(str, sorted(self.given_up)))})
