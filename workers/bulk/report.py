"""The files that a chunk leaves: one line per decision, one line per refused row, in input order."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from config.queue.batches import BatchFiles
from config.tenants import sent_json
from workers.bulk.chunk import Outcome
from workers.bulk.rows import Refusal, Row

_encode = msgspec.json.Encoder().encode


def write_report(files: BatchFiles, chunk: int, outcomes: Sequence[Outcome], *, tenant: str) -> None:
    """Write the files of one chunk; each appears complete. A chunk that is written again replaces them.

    `tenant`: what stands in front of the batch's ids, and not in its files.

    Most chunks have nothing for the errors file, and then there is none: each file waits for the disk once.
    """
    with files.results(chunk).written() as results:
        results.writelines(_result(one, tenant) for one in outcomes if one.refusal is None)
    refused = [_error(one.row, one.refusal) for one in outcomes if one.refusal is not None]
    if not refused:
        files.errors(chunk).remove()
        return
    with files.errors(chunk).written() as errors:
        errors.writelines(refused)


def _result(outcome: Outcome, tenant: str) -> bytes:
    """The decision as its tenant knows it, after the row's number and whether it was made for an earlier submission."""
    is_replayed = b"true" if outcome.is_replayed else b"false"
    decision = sent_json(outcome.decision, tenant)
    return b'{"row":%d,"replayed":%s,%s\n' % (outcome.row.number, is_replayed, decision[1:])


def _error(row: Row, refusal: Refusal) -> bytes:
    errors = [
        {"field": error.pointer.removeprefix("/"), "code": error.code, "reason": error.message}
        for error in refusal.errors
    ]
    first = errors[0] if errors else {"field": "", "reason": refusal.detail}
    line = {
        "row": row.number,
        "line": row.line,
        "transaction_id": row.transaction_id,
        "code": refusal.code,
        "field": first["field"],
        "reason": first["reason"],
        "errors": errors,
    }
    return _encode(line) + b"\n"
