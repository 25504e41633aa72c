"""The chain: blocks of marks, each with a digest over itself and the digest of the block before it."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, func, select, text, update

from ml.ledger.audit.marks import SUBJECTS, Mark, marks_of, pack, read_marks
from ml.ledger.tables import audit_blocks

BLOCK_ROWS: Final = 1000
START: Final = "0" * 64
Cause = Literal["sealed", "forgotten"]
"""Why rows are in a block: they are new, or what they say was changed by `tollgate forget`."""


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """One block. `first_row` to `last_row`: rows of the subject. `newest_us`: the moment of the newest of them."""

    previous: str
    subject: str
    cause: str
    first_row: int
    last_row: int
    rows: int
    newest_us: int
    sealed_at: datetime
    marks_digest: str

    def digest(self) -> str:
        """64 hex characters over all of the above."""
        return sha256(msgspec.json.encode(self)).hexdigest()


def lock(connection: Connection) -> None:
    """Let nobody else add a block before this transaction ends. SQLite's write transactions take turns anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE audit_blocks IN EXCLUSIVE MODE"))


def last_sealed(connection: Connection, subject: str) -> int:
    """The number of the last row of a subject that is in the chain; 0 when none is."""
    c = audit_blocks.c
    query = select(func.coalesce(func.max(c.last_row), 0)).where(c.subject == subject, c.cause == "sealed")
    return int(connection.execute(query).scalar_one())


def append(connection: Connection, subject: str, marks: list[Mark], *, now: datetime, cause: Cause = "sealed") -> None:
    """Add one block. The transaction holds `lock`."""
    c = audit_blocks.c
    previous = connection.execute(select(c.digest).order_by(c.id.desc()).limit(1)).scalar()
    packed = pack(marks)
    block = Block(
        previous=previous or START,
        subject=subject,
        cause=cause,
        first_row=marks[0].row,
        last_row=marks[-1].row,
        rows=len(marks),
        newest_us=max(mark.moment_us for mark in marks),
        sealed_at=now,
        marks_digest=sha256(packed).hexdigest(),
    )
    row: dict[str, Any] = msgspec.structs.asdict(block)
    connection.execute(audit_blocks.insert().values(**row, digest=block.digest(), marks=packed))


def seal_now(connection: Connection, subject: str, *, now: datetime) -> None:
    """Put every row of a subject that is not in the chain yet into it, in the transaction that wrote the last one."""
    lock(connection)
    limits: dict[str, Any] = {"until": 2**62, "limit": BLOCK_ROWS}
    while marks := read_marks(connection, subject, after=last_sealed(connection, subject), **limits):
        append(connection, subject, marks, now=now)


def note_forgotten(connection: Connection, subject: str, rows: list[int], *, now: datetime) -> None:
    """Put what rows say after `tollgate forget` into the chain, also of those that are not sealed yet.

    A sealing that has read them before this transaction adds what they said before: what was forgotten counts.
    """
    lock(connection)
    marks = marks_of(connection, subject, rows)
    for start in range(0, len(marks), BLOCK_ROWS):
        append(connection, subject, marks[start : start + BLOCK_ROWS], now=now, cause="forgotten")


def drop_old_marks(connection: Connection) -> int:
    """Blocks before the oldest row of their table need no marks any more; their digests stay. Returns how many."""
    leaving = (name for name, subject in SUBJECTS.items() if not subject.is_kept_for_ever)
    return sum(_drop_old_marks_of(connection, subject) for subject in leaving)


def _drop_old_marks_of(connection: Connection, subject: str) -> int:
    oldest = select(func.min(SUBJECTS[subject].table.c.id)).scalar_subquery()
    c = audit_blocks.c
    stale = (c.subject == subject) & (c.last_row < oldest) & (func.length(c.marks) > 0)
    return connection.execute(update(audit_blocks).where(stale).values(marks=b"")).rowcount
