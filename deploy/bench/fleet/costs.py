"""The processor time that a message and a row cost each kind of process, read from measured runs.

In a closed loop with C connections and one batch in flight, half of the clients wait for the batch that is out and half
for the next one, so a batch carries about C/2 rows. What a request costs then is `message / rows + row`: two unknowns,
and the runs with 1, 8, 32 and 128 connections to find them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

KINDS = ("web", "scoring", "valkey", "background")
HISTORY_CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of processor time: `message_s` each message, `row_s` each row in it."""

    message_s: float
    row_s: float

    def of(self, rows: int) -> float:
        """What one message with `rows` rows costs, in seconds."""
        return self.message_s + self.row_s * rows


@dataclass(frozen=True, slots=True)
class Costs:
    """What each kind of process spends. `sync_s`: one synced write of the append-only file."""

    web: Cost
    scoring: Cost
    valkey: Cost
    background: Cost
    sync_s: float


def rows_in_a_batch(connections: int) -> float:
    """About how many rows a batch carries in a closed loop, see above."""
    return max(1.0, connections / 2)


def measured_costs(report: Mapping[str, Any]) -> Costs:
    """The costs in docs/benchmarks.json, of payments that carry their derived fields."""
    runs = [run["result"] for run in report["runs"] if run["server"] == "tollgate"]
    plain = [run for run in runs if run["mode"] == "closed" and run["bodies"] == "builtin"]
    by_kind = {kind: fit(_points(plain, kind)) for kind in KINDS}
    return Costs(**by_kind, sync_s=report["machine"]["sync_ms"] / 1000)


def with_history(costs: Costs, report: Mapping[str, Any]) -> Costs:
    """The costs of payments whose history is looked up: the same a message, more a row (one run gives no more)."""
    runs = [run["result"] for run in report["runs"] if run["server"] == "tollgate"]
    looked_up = [run for run in runs if run["mode"] == "closed" and run["bodies"] != "builtin"]
    rows = rows_in_a_batch(HISTORY_CONNECTIONS)

    def dearer(kind: str) -> Cost:
        cost: Cost = getattr(costs, kind)
        each = median(request_s for _, request_s in _points(looked_up, kind))
        return replace(cost, row_s=max(cost.row_s, each - cost.message_s / rows))

    return Costs(**{kind: dearer(kind) for kind in KINDS}, sync_s=costs.sync_s)


def fit(points: Iterable[tuple[float, float]]) -> Cost:
    """Least squares of `message / rows + row` over (rows, seconds a request); neither part below zero.

    >>> fit([(1, 0.5), (2, 0.3), (4, 0.2)])
    Cost(message_s=0.4, row_s=0.1)
    """
    known = [(1 / rows, request_s) for rows, request_s in points]
    mean_x = sum(x for x, _ in known) / len(known)
    mean_y = sum(y for _, y in known) / len(known)
    spread = sum((x - mean_x) ** 2 for x, _ in known)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in known) / spread if spread else 0.0
    slope = max(0.0, slope)
    return Cost(round(slope, 9), round(max(0.0, mean_y - slope * mean_x), 9))


def _points(runs: Iterable[Mapping[str, Any]], kind: str) -> list[tuple[float, float]]:
    """(rows in a batch, median seconds a request) by number of connections; the median leaves out a disturbed run."""
    by_connections: dict[int, list[float]] = {}
    for run in runs:
        spent_s = run["cpu"]["seconds_by_kind"].get(kind, 0.0)
        by_connections.setdefault(run["connections"], []).append(spent_s / run["completed"])
    return [(rows_in_a_batch(count), median(each)) for count, each in by_connections.items()]
