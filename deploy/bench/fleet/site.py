"""What is simulated, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fleet:
    """Machines alike, and a broker: on a machine of its own (`has_own_broker`) or on the first one, among the rest.

    `hop_s`: one way between two processes of different machines. `generator_row_s`: what a load generator on the first
    machine costs a row, where one is to be reckoned with. `max_rows`, `capacity`: TOLLGATE_BATCH_MAX_ROWS,
    TOLLGATE_QUEUE_CAPACITY.
    """

    machines: int
    cores: int
    web: int
    scoring: int
    has_own_broker: bool = True
    hop_s: float = 0.0
    generator_row_s: float = 0.0
    max_rows: int = 128
    capacity: int = 192


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the payments after the warm-up. Rates a second; shares and `broker_busy` from 0 to 1."""

    offered_s: float
    answered_s: float
    p50_ms: float
    p99_ms: float
    refused_share: float
    rows_a_batch: float
    broker_busy: float
