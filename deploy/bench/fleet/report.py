"""`python -m deploy.bench.fleet.report` writes the tables of docs/scaling.md from docs/benchmarks.json: minutes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from deploy.bench.fleet.costs import KINDS, Costs, measured_costs, with_history
from deploy.bench.fleet.simulation import Simulation
from deploy.bench.fleet.site import Fleet, Outcome
from deploy.bench.markdown import number, table

DOCS = Path(__file__).resolve().parents[3] / "docs"
BLOCK = re.compile(r"(<!-- fleet:begin -->\n).*(<!-- fleet:end -->)", re.DOTALL)

P99_LIMIT_MS = 100.0
REFUSED_LIMIT = 0.001
ANSWERED_AT_LEAST = 0.99
HOP_S = 0.0002
# Assumed, not quoted: what a processor costs an hour, and how much of it is in use on average.
CORE_HOUR_USD = 0.05
IN_USE = 0.5
FULL_BATCH_ROWS = 64


@dataclass(frozen=True, slots=True)
class Plan:
    """Machines alike, how many of them, and how many web processes to try."""

    title: str
    machines: int
    cores: int
    web: tuple[int, ...]

    def fleet(self, web: int) -> Fleet:
        """One broker: its own machine where there are several. At most two scoring workers a web process."""
        scoring = max(1, min(2 * web, self.machines * self.cores // 2))
        alone = self.machines > 1
        return Fleet(self.machines, self.cores, web, scoring, has_own_broker=alone, hop_s=HOP_S if alone else 0.0)


PLANS = (
    Plan("1 machine, 1 core", 1, 1, (1,)),
    Plan("1 machine, 2 cores", 1, 2, (1, 2)),
    Plan("1 machine, 4 cores", 1, 4, (1, 2, 4)),
    Plan("1 machine, 8 cores", 1, 8, (2, 3, 4)),
    Plan("3 machines of 4 cores, and the broker's", 3, 4, (2, 3, 4)),
    Plan("10 machines of 4 cores, and the broker's", 10, 4, (3, 4, 5, 10, 20)),
)
SHARD = Plan("2 machines of 4 cores, and the broker's", 2, 4, (2, 3, 4))
SHARDS = 5


def main() -> None:
    """Rewrite the block of docs/scaling.md."""
    report = json.loads((DOCS / "benchmarks.json").read_bytes())
    page = DOCS / "scaling.md"
    text = page.read_text("utf-8")
    page.write_text(BLOCK.sub(lambda found: f"{found[1]}{as_markdown(report)}\n{found[2]}", text), "utf-8")


def as_markdown(report: Mapping[str, Any]) -> str:
    """Every table, from the runs of docs/benchmarks.json."""
    plain = measured_costs(report)
    looked_up = with_history(plain, report)
    parts = [
        "## What a row and a message cost\n",
        f"From the runs of {report['started_at']} ({report['machine']['cpu']}, {report['machine']['cores']} cores).\n",
        cost_table(plain, looked_up),
        "\n## The model beside what was measured\n",
        "Two cores with everything on them, the load generator too.\n",
        comparison_table(report, plain),
        "\n## What machines carry\n",
        capacity_table(plain, looked_up),
        f"\n{PLANS[-1].title}, by the number of web processes:\n",
        web_table(PLANS[-1], plain, looked_up),
        "\n## What processors cost\n",
        price_table(plain, looked_up),
    ]
    return "\n".join(parts)


def cost_table(plain: Costs, looked_up: Costs) -> str:
    """Milliseconds of processor time."""
    rows = [
        [
            kind,
            number(1000 * getattr(plain, kind).message_s),
            number(1000 * getattr(plain, kind).row_s),
            number(1000 * getattr(looked_up, kind).row_s),
        ]
        for kind in KINDS
    ]
    return table(["processor time, ms", "a message", "a row, derived fields sent", "a row, history looked up"], rows)


def comparison_table(report: Mapping[str, Any], costs: Costs) -> str:
    """Open loop at each measured rate; then the most that the closed loop and the model reach."""
    runs = [run["result"] for run in report["runs"] if run["server"] == "tollgate" and run["result"]["completed"]]
    plain = [run for run in runs if run["bodies"] == "builtin"]
    rows = []
    for rate in sorted({run["rate"] for run in plain if run["mode"] == "open"}):
        same = [run for run in plain if run["rate"] == rate]
        generator_s = median(run["generator_cpu_s"] / run["completed"] for run in same)
        outcome = Simulation(_measured_machine(generator_s), costs, rate=rate, seconds=4.0).run()
        latencies = [median(run["latency_ms"][name] for run in same) for name in ("p50", "p99")]
        rows.append(_compared(f"{rate:.0f}/s", latencies, outcome))
    full = [run for run in plain if run["mode"] == "closed" and run["connections"] == 128]
    generator_s = median(run["generator_cpu_s"] / run["completed"] for run in full)
    most, _ = most_carried(_measured_machine(generator_s), costs)
    rows.append(["the most", f"{median(run['requests_s'] for run in full):,.0f}/s", "", f"{most:,.0f}/s", ""])
    return table(["payments", "measured p50, ms", "p99", "model p50, ms", "p99"], rows)


def _measured_machine(generator_row_s: float) -> Fleet:
    return Fleet(1, 2, 1, 2, has_own_broker=False, generator_row_s=generator_row_s)


def _compared(title: str, measured: Sequence[float], outcome: Outcome) -> list[str]:
    return [title, *(number(one) for one in measured), number(outcome.p50_ms), number(outcome.p99_ms)]


def capacity_table(plain: Costs, looked_up: Costs) -> str:
    """The most payments a second within the limits, with the number of web processes that carries most."""
    rows = []
    for plan in PLANS:
        cells = [_best(plan, costs) for costs in (plain, looked_up)]
        rows.append([plan.title, *(cell for one in cells for cell in _carried(*one))])
    shard = [_best(SHARD, costs) for costs in (plain, looked_up)]
    title = f"{SHARDS} shards, each: {SHARD.title}"
    rows.append([title, *(cell for web, rate, out in shard for cell in _carried(web, SHARDS * rate, out))])
    header = ["", "derived fields sent: payments/s", "web processes, rows a batch, broker busy"]
    return table([*header, "history looked up: payments/s", "web processes, rows a batch, broker busy"], rows)


def _carried(web: int, rate: float, outcome: Outcome) -> list[str]:
    return [f"{_round(rate):,}", f"{web}, {outcome.rows_a_batch:.0f}, {outcome.broker_busy:.0%}"]


def _round(rate: float) -> int:
    """Two digits: the model is no better than that."""
    return int(float(f"{rate:.1e}"))


def _best(plan: Plan, costs: Costs) -> tuple[int, float, Outcome]:
    tried: Iterable[tuple[int, tuple[float, Outcome]]] = [
        (web, most_carried(plan.fleet(web), costs)) for web in plan.web
    ]
    web, (rate, outcome) = max(tried, key=lambda one: one[1][0])
    return web, rate, outcome


def web_table(plan: Plan, plain: Costs, looked_up: Costs) -> str:
    """What one plan carries with each number of web processes."""
    rows = [
        [str(web), *(f"{_round(most_carried(plan.fleet(web), costs)[0]):,}" for costs in (plain, looked_up))]
        for web in plan.web
    ]
    return table(["web processes", "derived fields sent: payments/s", "history looked up: payments/s"], rows)


@cache
def most_carried(fleet: Fleet, costs: Costs) -> tuple[float, Outcome]:
    """The highest rate with a p99 of at most P99_LIMIT_MS and next to nothing refused, by bisection to within 3%."""
    low, high = 1000.0, 40_000.0
    best = Simulation(fleet, costs, rate=low, seconds=2.0).run()
    while high / low > 1.03:
        middle = (low * high) ** 0.5
        outcome = Simulation(fleet, costs, rate=middle, seconds=max(1.5, min(4.0, 20_000 / middle))).run()
        if keeps_up(outcome):
            low, best = middle, outcome
        else:
            high = middle
    return low, best


def keeps_up(outcome: Outcome) -> bool:
    """Whether it answers what comes, in time. What piles up in a short run would be refused in a longer one."""
    is_in_time = outcome.p99_ms <= P99_LIMIT_MS and outcome.refused_share <= REFUSED_LIMIT
    return is_in_time and outcome.answered_s >= ANSWERED_AT_LEAST * outcome.offered_s


def price_table(plain: Costs, looked_up: Costs) -> str:
    """Core hours and money for a million decisions, in batches of FULL_BATCH_ROWS."""
    rows = []
    for title, costs in (("derived fields sent", plain), ("history looked up", looked_up)):
        spent_s = sum(getattr(costs, kind).of(FULL_BATCH_ROWS) for kind in KINDS) / FULL_BATCH_ROWS
        hours = spent_s * 1_000_000 / 3600
        rows.append([title, number(1000 * spent_s), number(hours), f"{hours / IN_USE * CORE_HOUR_USD:.4f}"])
    return table(["", "ms a decision", "core hours a million", "USD a million"], rows)


if __name__ == "__main__":
    main()
