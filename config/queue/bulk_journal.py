"""The bulk journal: one stream entry for some rows of a chunk, which names a payload of its own.

The payload holds their decisions and records as JSON, with commas between them, then its features. It passes
through Redis once: the results refer to their decisions in it (`config.queue.results`), the ledger's side reads it
whole and deletes it together with the entry. `lua/commit_chunk.lua` writes both, `workers.journal` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from config.contracts import Decision, JournalEntry, JournalRecord

PAYLOAD = b"p"

_decisions = msgspec.json.Decoder(list[Decision])
_records = msgspec.json.Decoder(list[JournalRecord])


@dataclass(frozen=True, slots=True)
class PackedChunk:
    """Some rows of a chunk as they travel. `decisions_bytes`, `records_bytes`: lengths of the first two parts."""

    payload: bytes
    decisions_bytes: int
    records_bytes: int


def pack_chunk(decisions: Sequence[bytes], records: Sequence[bytes], features: Sequence[bytes]) -> PackedChunk:
    """These rows, JSON each; `features` are of one length."""
    decided, recorded = b",".join(decisions), b",".join(records)
    return PackedChunk(b"".join((decided, recorded, *features)), len(decided), len(recorded))


def unpack_chunk(fields: Mapping[bytes, bytes], payload: bytes) -> list[JournalEntry]:
    """The new rows of a payload. `fields`: of its stream entry."""
    decided, recorded = int(fields[b"d"]), int(fields[b"r"])
    decisions = _decisions.decode(b"[%b]" % payload[:decided])
    records = _records.decode(b"[%b]" % payload[decided : decided + recorded])
    packed = payload[decided + recorded :]
    width = len(packed) // len(decisions)
    late = {int(number) for number in fields[b"l"].split(b",") if number}
    sequence = int(fields[b"b"])
    entries = []
    for number, (decision, record) in enumerate(zip(decisions, records, strict=True)):
        if number in late:
            continue
        if not record.sequence:
            sequence += 1
            record = msgspec.structs.replace(record, sequence=sequence)
        entries.append(JournalEntry(decision, record, packed[number * width : (number + 1) * width]))
    return entries
