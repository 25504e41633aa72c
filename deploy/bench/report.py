"""The report as Markdown, and its place in docs/benchmarks.md and docs/benchmarks.json."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deploy.bench.bodies import BUILTIN, HISTORY
from deploy.bench.markdown import number, spread, table
from deploy.bench.results import Report, Spread, p50_ms, p99_ms, requests_s
from deploy.bench.servers import CONTENDERS
from deploy.bench.tally import LoadResult
from deploy.bench.targets import BUSY, judge

BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"


def write_report(report: Report, directory: Path) -> None:
    """Put the report between the markers of `benchmarks.md` and, as JSON, into `benchmarks.json`.

    Text outside the markers stays as it is; without markers the report is added at the end.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "benchmarks.json").write_text(as_json(report))
    page = directory / "benchmarks.md"
    text = page.read_text() if page.exists() else "# Benchmarks\n"
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    page.write_text(f"{head.rstrip()}\n\n{BEGIN}\n{as_markdown(report)}\n{END}{tail.rstrip()}\n")


def as_json(report: Report) -> str:
    """Everything that was measured, with the verdicts."""
    verdicts = [{**asdict(verdict), "outcome": verdict.outcome} for verdict in judge(report)]
    return json.dumps({**asdict(report), "verdicts": verdicts}, indent=1) + "\n"


def as_markdown(report: Report) -> str:
    """The tables. A section without figures is left out."""
    sections = {
        "Targets": verdicts_table(report),
        "Closed loop": closed_table(report),
        "Tollgate beside the others": ratio_table(report),
        "Open loop": open_table(report),
        f"With the history of account and merchant looked up, at {BUSY} connections": history_table(report),
        f"Where the time goes, at {BUSY} connections": stages_table(report),
        f"Processor time per request, at {BUSY} connections": cpu_table(report),
    }
    parts = [f"## {title}\n\n{body}" for title, body in sections.items() if body]
    return "\n\n".join(["## What was measured", _about(report), *parts])


def _about(report: Report) -> str:
    plan, machine = report.plan, report.machine
    versions: Any = machine["versions"]
    return (
        f"{report.started_at}, `{report.command}`: {machine_line(machine)} "
        f"Repetitions: {plan.repetitions}, each server started afresh and "
        f"alone in each; windows of {plan.seconds:g} s after {plan.warm_up_s:g} s of warm-up; 1,000 different "
        f"bodies; the generator runs on the same machine. {report.model}\n\n"
        f"Versions: {', '.join(f'{name} {version}' for name, version in versions.items())}.\n\n"
        "Figures are medians over the repetitions, with smallest and largest in brackets; requests/s counts "
        "answers with status 200; latencies are in milliseconds, from the moment when a request was meant to "
        "be sent, and include requests that were lost or timed out, with their age."
    )


def machine_line(machine: dict[str, object]) -> str:
    """The machine in one sentence."""
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['kernel']}, "
        f"{machine['python']}, load average before the run {machine['load_average_before']}, "
        f"a synced write takes {machine['sync_ms']} ms."
    )


def verdicts_table(report: Report) -> str:
    """Each target, its ratio, and whether it was met."""
    rows = [
        (verdict.target, f"x {spread(Spread.of(list(verdict.values)))}", f"**{verdict.outcome}**")
        for verdict in judge(report)
    ]
    return table(("target", "Tollgate / other", "outcome"), rows)


def closed_table(report: Report) -> str:
    """Requests/s, p50 and p99 of each server at each level."""
    header = ["server"]
    for level in report.plan.levels:
        header += [f"{level} conn.: req/s", "p50", "p99"]
    header.append("lost")
    return table(header, [_closed_row(report, server) for server in _measured(report)])


def _closed_row(report: Report, server: str) -> list[str]:
    row = [CONTENDERS[server].title]
    lost = 0
    for level in report.plan.levels:
        results = report.closed(server, level)
        row += [spread(report.spread(results, figure)) for figure in (requests_s, p50_ms, p99_ms)]
        lost += sum(_lost(result) for result in results.values())
    return [*row, str(lost)]


def ratio_table(report: Report) -> str:
    """Requests/s and p99 of Tollgate over each other server's, within each repetition."""
    measured = _measured(report)
    others = [server for server in measured if server != "tollgate" and "tollgate" in measured]
    rows = []
    for other in others:
        for name, figure in (("requests/s", requests_s), ("p99", p99_ms)):
            cells = [_ratio(report.ratio("tollgate", other, level, figure)) for level in report.plan.levels]
            rows.append([f"{name}: Tollgate / {CONTENDERS[other].title}", *cells])
    return table(["ratio", *(f"{level} conn." for level in report.plan.levels)], rows)


def _ratio(values: list[float]) -> str:
    return f"x {spread(Spread.of(values))}" if values else "-"


def open_table(report: Report) -> str:
    """What becomes of requests that arrive on a timetable."""
    rows = []
    for rate in report.plan.rates:
        for server in _measured(report):
            results = report.open(server, rate)
            if results:
                rows.append(_open_row(report, f"{rate}/s: {CONTENDERS[server].title}", results))
    return table(("offered", "answered/s", "p50", "p99", "refused", "lost or not sent"), rows)


def _open_row(report: Report, title: str, results: dict[int, LoadResult]) -> list[str]:
    figures = [spread(report.spread(results, figure)) for figure in (requests_s, p50_ms, p99_ms)]
    refused = sum(_refused(result) for result in results.values())
    lost = sum(_lost(result) + result.unsent for result in results.values())
    return [title, *figures, str(refused), str(lost)]


def history_table(report: Report) -> str:
    """Tollgate with payments that name an account and a merchant, beside those that bring their own history."""
    rows = []
    for bodies, title in ((BUILTIN, "derived fields sent"), (HISTORY, "ids sent, history looked up")):
        results = report.closed("tollgate", BUSY, bodies)
        figures = [spread(report.spread(results, figure)) for figure in (requests_s, p50_ms, p99_ms, _cpu_ms)]
        rows.append([title, *figures])
    has_history = bool(report.closed("tollgate", BUSY, HISTORY))
    return table(("Tollgate", "req/s", "p50", "p99", "CPU ms per request"), rows if has_history else ())


def stages_table(report: Report) -> str:
    """Mean duration of each stage of Tollgate's path."""
    rows = [(stage.name, number(stage.mean_ms), str(stage.count)) for stage in report.stages]
    return table(("stage", "mean ms", "observations (requests, or batches in a worker)"), rows)


def cpu_table(report: Report) -> str:
    """CPU milliseconds per request by kind of process, the generator's share, and memory."""
    measured = {server: report.closed(server, BUSY) for server in _measured(report)}
    rows = [_cpu_row(report, server, results) for server, results in measured.items() if results]
    return table(("server", "all processes, ms", "by kind, ms", "generator, ms", "memory MB"), rows)


def _cpu_row(report: Report, server: str, results: dict[int, LoadResult]) -> list[str]:
    return [
        CONTENDERS[server].title,
        spread(report.spread(results, _cpu_ms)),
        ", ".join(f"{kind} {number(ms)}" for kind, ms in _by_kind(results.values()).items()),
        spread(report.spread(results, lambda result: _per_request_ms(result.generator_cpu_s, result))),
        spread(report.spread(results, lambda result: float(result.cpu["memory_mb"]))),
    ]


def _by_kind(results: Iterable[LoadResult]) -> dict[str, float]:
    """Mean CPU milliseconds per request of each kind, the largest first; below a microsecond is left out."""
    kinds: Counter[str] = Counter()
    completed = 0
    for result in results:
        kinds.update(result.cpu["seconds_by_kind"])
        completed += result.completed
    per_request = {kind: seconds / max(1, completed) * 1000 for kind, seconds in kinds.most_common()}
    return {kind: ms for kind, ms in per_request.items() if ms >= 0.001}


def _cpu_ms(result: LoadResult) -> float:
    return float(result.cpu["ms_per_request"] or 0)


def _per_request_ms(seconds: float, result: LoadResult) -> float:
    return seconds / max(1, result.completed) * 1000


def _refused(result: LoadResult) -> int:
    return sum(count for status, count in result.statuses.items() if int(status) >= 400)


def _lost(result: LoadResult) -> int:
    return result.timeouts + sum(result.errors.values())


def _measured(report: Report) -> list[str]:
    present = {run.server for run in report.runs}
    return [server for server in CONTENDERS if server in present]
