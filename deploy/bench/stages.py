"""Where the time goes: the mean of each stage between two readings of GET /prometheus."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

# Metric -> what its stages are called in the report; `{stage}` is the label's value.
METRICS = {
    "tollgate_stage_latency_seconds": "web: {stage}",
    "tollgate_worker_stage_latency_seconds": "scoring worker: {stage}",
}
SAMPLE = re.compile(
    rf'^({"|".join(METRICS)})_(sum|count){{(?:[^}}]*,)?stage="([^"]+)"[^}}]*}} ([0-9.eE+-]+)$', re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the path: its mean duration over `count` observations (requests or batches)."""

    name: str
    mean_ms: float
    count: int


def read_totals(exposition: str) -> dict[str, tuple[float, float]]:
    """Stage -> (seconds in total, observations), added up over all series of the stage."""
    totals: dict[str, dict[str, float]] = defaultdict(lambda: {"sum": 0.0, "count": 0.0})
    for metric, kind, stage, value in SAMPLE.findall(exposition):
        totals[METRICS[metric].format(stage=stage)][kind] += float(value)
    return {stage: (total["sum"], total["count"]) for stage, total in totals.items()}


def stages_between(before: str, after: str) -> list[Stage]:
    """The stages that were passed through between two expositions, in the order of the export."""
    earlier, stages = read_totals(before), []
    for name, (seconds, count) in read_totals(after).items():
        seconds_then, count_then = earlier.get(name, (0.0, 0.0))
        if count > count_then:
            passed = count - count_then
            stages.append(Stage(name, round((seconds - seconds_then) / passed * 1000, 3), int(passed)))
    return stages
