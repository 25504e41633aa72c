"""The pulse: what happened in the last minutes, in slots of two seconds that every process adds to. For the console.

Web processes add requests and their latencies, background workers the decisions that they store. It is a picture of
now, for people: what a broken connection lost, or a repeated drain counted twice, stays so. Metrics are in Prometheus.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import redis

from config import names

SLOT_S: Final = 2
KEPT_S: Final = 900
SETTLED_AFTER_S: Final = 4
"""When a slot is complete enough to show."""
_FIRST_EDGE_S: Final = 0.0001
_GROWTH: Final = 1.25
_EDGES: Final = 58

LATENCY_EDGES_S: Final = tuple(_FIRST_EDGE_S * _GROWTH**n for n in range(_EDGES))
"""Upper edges of the latency bins: 0.1 ms to 33 s, each a quarter above the one before."""


class Slot(NamedTuple):
    """What was counted in the two seconds from `at_s` (Unix seconds). `counts`: by the names of the functions below."""

    at_s: int
    counts: Mapping[str, int]


def answered(status: int) -> str:
    """Scoring requests answered with this status."""
    return f"answered:{status}"


def decided(action: str) -> str:
    """Decisions with this action."""
    return f"decided:{action}"


def latency(latency_bin: int) -> str:
    """Scoring requests whose latency is in this bin."""
    return f"latency:{latency_bin}"


def latency_bin(seconds: float) -> int:
    """The bin of a latency; the last one takes whatever is longer.

    >>> latency_bin(0.0), latency_bin(0.00012), latency_bin(1e9) == len(LATENCY_EDGES_S) - 1
    (0, 1, True)
    """
    return min(bisect_left(LATENCY_EDGES_S, seconds), len(LATENCY_EDGES_S) - 1)


def slot_of(at_s: float) -> int:
    """The beginning of the slot that a moment falls into."""
    return int(at_s) // SLOT_S * SLOT_S


def add(client: redis.Redis, at_s: float, counts: Mapping[str, int]) -> None:
    """Add to the slot of a moment; nothing when there is nothing to add. One round trip. Raises RedisError."""
    if not counts:
        return
    key = names.pulse_key(slot_of(at_s))
    with client.pipeline(transaction=False) as pipe:
        for name, count in counts.items():
            pipe.hincrby(key, name, count)
        pipe.expire(key, KEPT_S)
        pipe.execute()


def read(client: redis.Redis, *, since_s: float, until_s: float) -> Sequence[Slot]:
    """The slots from that of `since_s` to the one before that of `until_s`, oldest first, empty ones too.

    One round trip. Raises RedisError.
    """
    starts = range(slot_of(since_s), slot_of(until_s), SLOT_S)
    with client.pipeline(transaction=False) as pipe:
        for start in starts:
            pipe.hgetall(names.pulse_key(start))
        stored: Any = pipe.execute()
    return [
        Slot(start, {name.decode(): int(count) for name, count in found.items()})
        for start, found in zip(starts, stored, strict=True)
    ]
