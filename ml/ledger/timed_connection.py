"""A PostgreSQL connection that gives up on a server from which nothing comes. Loaded only where there is one.

The server keeps `statement_timeout`, and one that is frozen (stopped processes, a disk that hangs) keeps nothing; the
kernel sees no fault either, since its sockets stand. psycopg itself waits for ever, but in steps of 0.1 s.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

from ml.ledger.engine import STATEMENT_TIMEOUT_S

SILENCE_S = 2.0 * STATEMENT_TIMEOUT_S
"""The server ends a statement after half of it, and says so."""
PING_SILENCE_S = 2.0
"""As for connecting: SQLAlchemy asks a connection of its pool, in autocommit mode, whether it is still there."""

Result = TypeVar("Result")


class TimedConnection(psycopg.Connection[Any]):
    """Closes itself and raises OperationalError when nothing was heard for `limit_s` while it waits.

    `silence_s`: what replaces `SILENCE_S`; infinite for statements that may take as long as they take.
    """

    silence_s: float | None = None

    @property
    def limit_s(self) -> float:
        """How long the server may be silent, seconds."""
        if self.autocommit:
            return PING_SILENCE_S
        return SILENCE_S if self.silence_s is None else self.silence_s

    def wait(self, gen: PQGen[Result], *args: Any, **options: Any) -> Result:
        """As psycopg's, within `limit_s` of silence."""
        return super().wait(self._listening(gen, self.limit_s), *args, **options)

    def _listening(self, gen: Generator[Any, Any, Result], limit_s: float) -> Generator[Any, Any, Result]:
        """`gen` as it is: it yields what it waits for, and is sent what is ready, or nothing every 0.1 s."""
        heard_at = time.monotonic()
        try:
            wanted = next(gen)
            while True:
                ready, now = (yield wanted), time.monotonic()
                if ready:
                    heard_at = now
                elif now - heard_at > limit_s:
                    self._give_up(limit_s)
                wanted = gen.send(ready)
        except StopIteration as end:
            result: Result = end.value
            return result

    def _give_up(self, limit_s: float) -> None:
        self.close()  # whoever rolls back now must not wait once more
        raise psycopg.OperationalError(f"nothing was heard for {limit_s:g} s")


def connect_timed(*args: Any, has_own_options: bool, **parameters: Any) -> TimedConnection:
    """A connection. `has_own_options`: the URL replaces the ledger's statement timeout, so the server is asked for it.

    Raises psycopg.OperationalError.
    """
    connection: TimedConnection = TimedConnection.connect(*args, **parameters)
    if has_own_options:
        connection.silence_s = _twice_the_statement_timeout(connection)
    return connection


def _twice_the_statement_timeout(connection: TimedConnection) -> float:
    row = connection.execute(
        "SELECT setting::float8 / 1000 FROM pg_settings WHERE name = 'statement_timeout'"
    ).fetchone()
    connection.rollback()
    return 2 * row[0] if row and row[0] else float("inf")
