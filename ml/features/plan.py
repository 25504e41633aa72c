"""Declared features -> the two float matrices per entity that the kernel runs.

A window (length, delay, aggregated column) is measured once, however many features share it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from config.schema.model import Aggregate
from ml.features import kernel
from ml.features.compiled import Floats

OPCODES: Final[dict[Aggregate, int]] = {
    "count": kernel.COUNT,
    "sum": kernel.SUM,
    "mean": kernel.MEAN,
    "std": kernel.STD,
    "min": kernel.MIN,
    "max": kernel.MAX,
    "distinct": kernel.DISTINCT,
    "last": kernel.LAST,
    "time_since_last": kernel.TIME_SINCE_LAST,
    "ratio_to_mean": kernel.RATIO_TO_MEAN,
    "zscore": kernel.ZSCORE,
    "label_count": kernel.LABEL_COUNT,
    "fraud_count": kernel.FRAUD_COUNT,
    "fraud_rate": kernel.FRAUD_RATE,
    "fraud_streak": kernel.FRAUD_STREAK,
    "fraud_streak_age": kernel.FRAUD_STREAK_AGE,
}
# Nothing counted is zero, not unknown; every other aggregate of nothing is unknown.
_ZERO_WHEN_EMPTY: Final[frozenset[Aggregate]] = frozenset(
    {"count", "sum", "distinct", "label_count", "fraud_count", "fraud_streak"}
)
_DEVIATIONS: Final = (kernel.STD, kernel.ZSCORE)
_STREAKS: Final = (kernel.FRAUD_STREAK, kernel.FRAUD_STREAK_AGE)
_LABELLED: Final = (kernel.LABEL_COUNT, kernel.FRAUD_COUNT, kernel.FRAUD_RATE, *_STREAKS)


@dataclass(frozen=True, slots=True)
class Operation:
    """One feature of one entity, names resolved.

    `column`: place of the aggregated field in the event record, counted from 1; 0 for none. `target`:
    column of X. `keeps_sent`: a value that the client sent stays.
    """

    aggregate: Aggregate
    window_s: float | None
    delay_s: float
    column: int
    default: float | None
    target: int
    keeps_sent: bool

    @property
    def window(self) -> tuple[float, float, int]:
        """What operations must share to be measured together."""
        return (math.inf if self.window_s is None else self.window_s, self.delay_s, self.column)

    def row(self) -> tuple[float, float, float, float]:
        """The kernel's row of `operations`."""
        counts_values = self.aggregate == "count" and self.column > 0
        opcode = kernel.COUNT_VALUES if counts_values else OPCODES[self.aggregate]
        return float(opcode), self._default(), float(self.target), float(self.keeps_sent)

    def _default(self) -> float:
        if self.default is not None:
            return self.default
        return 0.0 if self.aggregate in _ZERO_WHEN_EMPTY else math.nan


def compile_operations(operations: Sequence[Operation]) -> tuple[Floats, Floats]:
    """`(windows, operations)` for the kernel; operations of one window stand together.

    Operations that aggregate no column (count, fraud_rate) join a window of the same length and delay that
    does.
    """
    members: dict[tuple[float, float, int], list[tuple[float, float, float, float]]] = {}
    shared: dict[tuple[float, float], tuple[float, float, int]] = {}
    for operation in sorted(operations, key=lambda operation: operation.column == 0):
        window = operation.window
        home = window if operation.column else shared.get(window[:2], window)
        shared.setdefault(window[:2], home)
        members.setdefault(home, []).append(operation.row())
    windows: list[tuple[float, ...]] = []
    rows: list[tuple[float, float, float, float]] = []
    for home, own in members.items():
        windows.append((*home, len(rows), len(rows) + len(own), *_needs(own)))
        rows.extend(own)
    return np.array(windows, np.float64).reshape(-1, kernel.WINDOW_COLUMNS), np.array(rows, np.float64).reshape(
        -1, kernel.OPERATION_COLUMNS
    )


def _needs(rows: Sequence[tuple[float, ...]]) -> tuple[bool, ...]:
    """Whether a window needs its deviations, its distinct values, its labels, its streak."""
    opcodes = {int(row[kernel.OPCODE]) for row in rows}
    return (
        not opcodes.isdisjoint(_DEVIATIONS),
        kernel.DISTINCT in opcodes,
        not opcodes.isdisjoint(_LABELLED),
        not opcodes.isdisjoint(_STREAKS),
    )
