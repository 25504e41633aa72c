"""`tollgate status` for people: tables for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table

from config.contracts import ChampionPointer, WorkerReport
from deploy.launcher.look import Look, ProcessLook

_AGE = "queue_oldest_age_s_"


def render(seen: Look) -> RenderableType:
    """Everything that is known, most important first."""
    parts: list[RenderableType] = [_summary(seen)]
    if seen.processes:
        parts.append(_processes(seen.processes))
    if seen.workers:
        parts.append(_workers(seen.workers, seen.champion))
    if seen.queues:
        parts.append(_queues(seen.queues))
    return Group(*parts)


def _summary(seen: Look) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row("Tollgate", headline(seen))
    table.add_row("address", seen.url)
    table.add_row("champion", seen.champion.model_version if seen.champion else "none")
    table.add_row("schema", seen.schema)
    table.add_row("data", seen.data_dir)
    table.add_row("broker", seen.broker)
    table.add_row("versions", ", ".join(f"{name} {number or '?'}" for name, number in seen.versions.items()))
    return table


def headline(seen: Look) -> str:
    """Up, down or starting, in one line."""
    if not seen.is_up:
        return "down: nothing answers; start it with `make run` or `tollgate up`"
    if seen.is_healthy:
        return "up and scoring"
    reason = (seen.health or {}).get("detail") or "the web server does not answer"
    return f"not ready: {reason}"


def _processes(processes: list[ProcessLook]) -> Table:
    table = _table("process", "state", "pid", "up", "restarts", "last exit")
    for one in processes:
        pid, uptime = str(one.pid or "-"), duration(one.uptime_s)
        table.add_row(one.name, one.state, pid, uptime, str(one.restarts), one.last_exit or "-")
    return table


def _workers(workers: list[WorkerReport], champion: ChampionPointer | None) -> Table:
    table = _table("worker", "role", "status", "model", "champion")
    for one in workers:
        serves = "-" if one.digest is None or champion is None else "yes" if one.digest == champion.digest else "no"
        table.add_row(one.worker, one.role, one.status, one.model_version or "-", serves)
    return table


def _queues(queues: dict[str, int]) -> Table:
    table = _table("queue", "length", "oldest")
    for name, length in queues.items():
        if name.startswith(_AGE):
            continue
        queue = name.removeprefix("queue_depth_")
        oldest_s = queues.get(_AGE + queue)
        table.add_row(queue.replace("_", " "), str(length), "-" if oldest_s is None else duration(oldest_s))
    return table


def _table(*columns: str) -> Table:
    table = Table(title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column)
    return table


def duration(seconds: float | None) -> str:
    """Seconds as "12 s", "3 min", "5.2 h"."""
    if seconds is None:
        return "-"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
