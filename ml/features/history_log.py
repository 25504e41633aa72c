"""The bytes that are kept per entity: one fixed-width record per event, one per label.

Both logs are append-only and in arrival order; every number is a little-endian float64, so a log is a float
matrix without parsing. The scoring worker packs what the store appends, offline replay builds the same
matrices.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

_HASH_MASK: Final = (1 << 53) - 1
_LABEL: Final = struct.Struct("<4d")
LABEL_SIZE: Final = _LABEL.size


def pack_event(event_time_s: float, record: Sequence[float]) -> bytes:
    """One event: `(event_time_s, *record)`, 8 bytes each. `record`: the entity's kept values, NaN where
    missing.
    """
    return struct.pack(f"<{1 + len(record)}d", event_time_s, *record)


def pack_label(transaction_time_s: float, known_at_s: float, is_fraud: bool, weight: int = 1) -> bytes:
    """One label of a transaction of this entity, 32 bytes.

    `transaction_time_s`: event time of the labelled transaction; `known_at_s`: when the label became known.
    `weight`: 1 adds the label, -1 takes back an earlier one with the same content (a revision is -1, then
    +1).
    """
    return _LABEL.pack(transaction_time_s, known_at_s, float(is_fraud), float(weight))


def pack_verdict(
    transaction_time_s: float, known_at_s: float, is_fraud: bool, earlier: tuple[float, bool] | None = None
) -> list[bytes]:
    """The label records that one more label of a transaction adds to its entities' logs, in order.

    `earlier`: `(known_at_s, is_fraud)` of the label that counted until now. One that was known later stays, and one
    that says the same changes nothing: no record. A revision takes the old one back, then adds the new one.
    """
    records = [pack_label(transaction_time_s, known_at_s, is_fraud)]
    if earlier is None:
        return records
    if earlier[0] > known_at_s or earlier[1] == is_fraud:
        return []
    return [pack_label(transaction_time_s, known_at_s, earlier[1], -1), *records]


def hash_text(text: str) -> float:
    """A number that stands for `text` in a log: 53 bits of BLAKE2b, exact as a float64, the same in every
    process.

    Collisions: 1 in 10^11 for two texts, so `distinct` over a log is exact in practice.
    """
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return float(int.from_bytes(digest, "little") & _HASH_MASK)
