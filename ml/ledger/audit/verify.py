"""Walks the chain and the rows beside it, and names everything that does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, select

from ml.ledger.audit.chain import START, Block, last_sealed
from ml.ledger.audit.marks import SUBJECTS, Mark, read_marks, unpack
from ml.ledger.tables import audit_blocks

FINDINGS_KEPT: Final = 1000


class Finding(msgspec.Struct, frozen=True):
    """One thing that does not fit. `row`: of the table `subject`; 0 when the block itself is meant."""

    block: int
    subject: str
    row: int
    what: str


class Verification(msgspec.Struct, kw_only=True):
    """What was checked so far. `head`: digest of the last block; note it elsewhere, to show later that none is gone."""

    blocks: int = 0
    rows: int = 0
    retired: int = 0
    forgotten: int = 0
    not_sealed: int = 0
    head: str = START
    findings: list[Finding] = msgspec.field(default_factory=list)
    findings_omitted: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether everything fits."""
        return not self.findings


class Verifier:
    """One walk. `retained_since`: decisions older than that, and their labels, may be gone (retention); None: none may.

    `head`: a digest noted earlier that the chain must still contain.
    """

    def __init__(self, connection: Connection, *, retained_since: datetime | None, head: str | None) -> None:
        self._connection = connection
        self._retained_us = int(retained_since.timestamp() * 1_000_000) if retained_since else None
        self._wanted = head
        self._state = Verification()
        self._reached = dict.fromkeys(SUBJECTS, 0)

    def run(self) -> Iterator[Verification]:
        """The state after each block; the last one is complete."""
        amended = self._amended()
        last = 0
        while row := self._next(last):
            last = row["id"]
            self._check(row, amended)
            yield self._state
        self._finish()
        yield self._state

    def _next(self, after: int) -> Any:
        query = select(audit_blocks).where(audit_blocks.c.id > after).order_by(audit_blocks.c.id).limit(1)
        return self._connection.execute(query).mappings().first()

    def _amended(self) -> dict[tuple[str, int], Mark]:
        """What rows say since they were changed by `tollgate forget`; of several changes the last."""
        c = audit_blocks.c
        query = select(c.subject, c.marks).where(c.cause == "forgotten").order_by(c.id)
        found = {(s, mark.row): mark for s, marks in self._connection.execute(query) for mark in unpack(marks)}
        self._state.forgotten = len(found)
        return found

    def _check(self, row: Any, amended: dict[tuple[str, int], Mark]) -> None:
        block = Block(**{name: row[name] for name in Block.__struct_fields__})
        if block.previous != self._state.head:
            self._find(row, 0, "does not follow the block before it: one was removed, added or moved")
        if block.digest() != row["digest"]:
            self._find(row, 0, "was changed")
        self._state.head = row["digest"]
        self._state.blocks += 1
        if self._state.head == self._wanted:
            self._wanted = None
        if row["marks"] and sha256(row["marks"]).hexdigest() != block.marks_digest:
            self._find(row, 0, "was changed: its marks are not those that were sealed")
        elif block.cause == "sealed":
            self._check_rows(row, [amended.get((block.subject, mark.row), mark) for mark in unpack(row["marks"])])

    def _check_rows(self, block: Any, marks: list[Mark]) -> None:
        after, self._reached[block["subject"]] = self._reached[block["subject"]], block["last_row"]
        stored = read_marks(
            self._connection, block["subject"], after=after, until=block["last_row"], limit=2 * block["rows"] + 100
        )
        found = {mark.row: mark.digest for mark in stored}
        self._state.rows += len(found)
        if not marks and not self._is_retired(block["subject"], block["newest_us"]):
            self._find(block, 0, "has lost its marks although its rows are not old enough to be gone")
        for mark in marks:
            digest = found.pop(mark.row, None)
            if digest is None:
                self._missing(block, mark)
            elif digest != mark.digest:
                self._find(block, mark.row, "was changed")
        for added in found:
            self._find(block, added, "was added after its neighbours were sealed")

    def _missing(self, block: Any, mark: Mark) -> None:
        if self._is_retired(block["subject"], mark.moment_us):
            self._state.retired += 1
        else:
            self._find(block, mark.row, "was deleted")

    def _is_retired(self, subject: str, moment_us: int) -> bool:
        may_leave = subject in SUBJECTS and not SUBJECTS[subject].is_kept_for_ever
        return may_leave and self._retained_us is not None and moment_us < self._retained_us

    def _finish(self) -> None:
        if self._wanted is not None:
            message = f"the chain has no block {self._wanted}: blocks were removed from its end, or it was made anew"
            self._state.findings.append(Finding(0, "chain", 0, message))
        for name, subject in SUBJECTS.items():
            newer = subject.table.c.id > last_sealed(self._connection, name)
            query = select(func.count()).select_from(subject.table).where(newer)
            self._state.not_sealed += self._connection.execute(query).scalar_one()

    def _find(self, block: Any, row: int, what: str) -> None:
        if len(self._state.findings) < FINDINGS_KEPT:
            self._state.findings.append(Finding(block["id"], block["subject"], row, what))
        else:
            self._state.findings_omitted += 1
