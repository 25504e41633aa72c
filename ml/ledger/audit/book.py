"""`AuditBook`: seals decisions and labels into the chain on beat, and reads the chain for `tollgate audit verify`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Engine, func, select

from ml.ledger.audit.chain import BLOCK_ROWS, append, drop_old_marks, last_sealed, lock
from ml.ledger.audit.marks import SUBJECTS, read_marks
from ml.ledger.audit.verify import Verification, Verifier
from ml.ledger.engine import reading, writing
from ml.ledger.tables import audit_blocks

Settling = Literal["decisions", "labels"]
"""What is sealed a while after it was stored; operators' actions are sealed at once."""
SETTLING: Final[tuple[Settling, ...]] = ("decisions", "labels")


class AuditBook:
    """The chain of a ledger. Every method raises LedgerUnavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def newest_row(self, subject: Settling) -> int:
        """The number of the newest decision or label; 0 when there is none."""
        number = SUBJECTS[subject].table.c.id
        with reading(self._engine) as connection:
            return int(connection.execute(select(func.coalesce(func.max(number), 0))).scalar_one())

    def seal(self, subject: Settling, *, until: int, now: datetime) -> int:
        """Put the next rows up to row `until`, at most a block, into the chain; returns how many.

        Row numbers are given out before their transactions commit: `until` is the newest row of a while ago.
        """
        with reading(self._engine) as connection:
            after = last_sealed(connection, subject)
            marks = read_marks(connection, subject, after=after, until=until, limit=BLOCK_ROWS)
        if not marks:
            return 0
        with writing(self._engine) as connection:
            lock(connection)
            if last_sealed(connection, subject) != after:
                return 0  # another process was here first
            append(connection, subject, marks, now=now)
        return len(marks)

    def count_blocks(self) -> int:
        """How long the chain is."""
        with reading(self._engine) as connection:
            return connection.execute(select(func.count()).select_from(audit_blocks)).scalar_one()

    def drop_old_marks(self) -> int:
        """Let go of the marks of blocks whose rows have all left the ledger; returns how many blocks."""
        with writing(self._engine) as connection:
            return drop_old_marks(connection)

    def verify(self, *, retained_since: datetime | None, head: str | None = None) -> Iterator[Verification]:
        """See `Verifier`: the state of the check after each block, the last one with everything that was found."""
        # One moment of the whole ledger, whatever is written or leaves meanwhile; SQLite knows no other.
        level = "REPEATABLE READ" if self._engine.dialect.name == "postgresql" else "SERIALIZABLE"
        with reading(self._engine.execution_options(isolation_level=level)) as connection:
            yield from Verifier(connection, retained_since=retained_since, head=head).run()
