"""The bulk figures as Markdown, between their own markers in docs/benchmarks.md, and as JSON beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from deploy.bench.bulk import BulkPlan, BulkRun
from deploy.bench.markdown import spread, table
from deploy.bench.results import Spread
from deploy.bench.targets import Verdict

BEGIN = "<!-- bulk:begin -->"
END = "<!-- bulk:end -->"


def write_bulk_report(plan: BulkPlan, runs: Sequence[BulkRun], about: str, directory: Path) -> None:
    """Put the report into `benchmarks.md` between its markers, and everything measured into `benchmarks-bulk.json`."""
    directory.mkdir(parents=True, exist_ok=True)
    measured = {"about": about, "plan": asdict(plan), "runs": [asdict(run) for run in runs]}
    (directory / "benchmarks-bulk.json").write_text(json.dumps(measured, indent=1) + "\n")
    page = directory / "benchmarks.md"
    head, _, rest = (page.read_text() if page.exists() else "# Benchmarks\n").partition(BEGIN)
    tail = rest.partition(END)[2]
    page.write_text(f"{head.rstrip()}\n\n{BEGIN}\n{bulk_markdown(plan, runs, about)}\n{END}{tail.rstrip()}\n")


def bulk_markdown(plan: BulkPlan, runs: Sequence[BulkRun], about: str) -> str:
    """Targets, throughput, what interactive clients notice, memory."""
    parts = {"": verdict_table(runs), "Memory, most seen": memory_table(runs)}
    text = "\n\n".join(f"### {title}\n\n{body}" if title else body for title, body in parts.items())
    return f"## Bulk, measured\n\n{about}\n\n{throughput_table(plan, runs)}\n\n{text}"


def throughput_table(plan: BulkPlan, runs: Sequence[BulkRun]) -> str:
    """Rows per second, and where the time of a batch goes."""
    best = [max(run.plain_rows_s) for run in runs]
    rows = [
        (
            "plain queue, 20 tasks of 500 rows (best round): no validation, no ledger, nothing durable, rows/s",
            best,
        ),
        (
            f"Tollgate, {plan.rows:,} rows: body in to results out, every decision in the ledger, rows/s",
            _all(runs, "rows_s"),
        ),
        ("- of that: upload, s", _all(runs, "upload_s")),
        ("- checking, scoring, ledger, s", _all(runs, "scoring_s")),
        ("- download of the results, s", _all(runs, "download_s")),
        (f"Tollgate, while {plan.rate} payments/s come in one by one, rows/s", _all(runs, "beside_rows_s")),
        (f"interactive p50, idle, {plan.rate}/s, ms", [run.idle.latency_ms.p50 for run in runs]),
        ("interactive p50 beside a batch, ms", [run.beside.latency_ms.p50 for run in runs]),
        ("interactive p99, idle, ms", [run.idle.latency_ms.p99 for run in runs]),
        ("interactive p99 beside a batch, ms", [run.beside.latency_ms.p99 for run in runs]),
    ]
    return table(("", "median (smallest-largest)"), [(title, spread(Spread.of(values))) for title, values in rows])


def bulk_verdicts(runs: Sequence[BulkRun]) -> list[Verdict]:
    """What was promised of bulk, and whether the runs kept it."""
    over_plain = tuple(run.rows_s / max(run.plain_rows_s) for run in runs)
    slower = tuple(run.beside.latency_ms.p99 / run.idle.latency_ms.p99 for run in runs)
    return [
        Verdict("bulk: more rows/s than the plain queue's best", over_plain, sum(value > 1 for value in over_plain)),
        Verdict("bulk: 4 times the plain queue's best (the aim)", over_plain, sum(value >= 4 for value in over_plain)),
        Verdict(
            "interactive p99 beside a batch at most twice the idle one", slower, sum(value <= 2 for value in slower)
        ),
        Verdict(
            "every row's decision is in the ledger",
            tuple(run.in_ledger / run.rows for run in runs),
            sum(run.in_ledger == run.rows for run in runs),
        ),
    ]


def verdict_table(runs: Sequence[BulkRun]) -> str:
    """Each target with its ratio."""
    rows = [
        (verdict.target, f"x {spread(Spread.of(list(verdict.values)))}", f"**{verdict.outcome}**")
        for verdict in bulk_verdicts(runs)
    ]
    return table(("target", "ratio", "outcome"), rows)


def memory_table(runs: Sequence[BulkRun]) -> str:
    """The most memory that the processes of each kind together had while the large batch ran."""
    kinds = sorted({kind for run in runs for kind in run.memory_mb})
    rows = [(kind, f"{median(run.memory_mb.get(kind, 0.0) for run in runs):,.0f}") for kind in kinds]
    return table(("processes", "MB"), rows)


def _all(runs: Sequence[BulkRun], name: str) -> list[float]:
    return [float(getattr(run, name)) for run in runs]
