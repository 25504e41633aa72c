"""Finds the row of a chunk that kills its workers, so that its neighbours are scored all the same.

A chunk that is tried again is done row by row, and before each row its number is written into the chunk's inbox
entry. A row that was under way at two deaths in a row is given up.
"""

from __future__ import annotations

from typing import Any

import redis

FIELD = "suspect"
GIVEN_UP = "given_up"
DEATHS = 2


class Suspects:
    """What earlier attempts left in one chunk's inbox entry (`key`)."""

    def __init__(self, client: redis.Redis, key: str) -> None:
        self._client = client
        self._key = key
        stored: Any = client.hmget(key, FIELD, GIVEN_UP)
        row, _, deaths = (stored[0] or b"0 0").decode().partition(" ")
        self._row, self._deaths = int(row), int(deaths)
        self.given_up = frozenset(int(number) for number in (stored[1] or b"").split())
        if self._row and self._deaths >= DEATHS:
            self._give_up(self._row)

    def begin(self, row: int) -> None:
        """Row number `row` is about to be scored alone."""
        deaths = self._deaths if row == self._row else 0
        # Rows that kill are counted here, so they must not use up the attempts of the chunk as well.
        self._client.hset(self._key, mapping={FIELD: f"{row} {deaths + 1}", "attempts": 1})

    def _give_up(self, row: int) -> None:
        self.given_up |= {row}
        self._client.hset(self._key, mapping={FIELD: "0 0", GIVEN_UP: " ".join(map(str, sorted(self.given_up)))})
