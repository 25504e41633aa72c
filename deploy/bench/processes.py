"""What a server's processes cost: CPU seconds between two moments, and memory. Reads, never signals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import psutil

# The first kind whose word is in the command line names the process; without one it is of its parent's kind.
KINDS = (
    ("valkey", ("valkey-server", "redis-server")),
    ("mlflow", ("mlflow",)),
    ("exporter", ("exporter",)),
    ("beat", (" beat",)),
    ("scoring", ("--queues score", "-Q score")),
    ("bulk", ("--queues bulk", "-Q bulk")),
    ("background", ("--queues ticks,background", "--queues background", "-Q background")),
    ("worker", (" worker",)),
    ("web", ("web.server", "granian", "uvicorn")),
    ("launcher", ("tollgate up", "deploy.cli up")),
)
UNKNOWN = "other"


def kind_of(command_line: str) -> str | None:
    """Which part of a stack a process is, by its command line; None when nothing fits."""
    for kind, words in KINDS:
        if any(word in command_line for word in words):
            return kind
    return None


class ProcessTrees:
    """The processes `roots` and all their descendants, as they are when this is made.

    A process that ends before `stop` takes its CPU time with it; one that starts later is not counted.
    """

    def __init__(self, roots: Iterable[int]) -> None:
        self._processes: dict[int, psutil.Process] = {}
        self._kinds: dict[int, str] = {}
        self._before: dict[int, float] = {}
        self._after: dict[int, float] = {}
        for root in roots:
            self._adopt(root)

    def _adopt(self, root: int) -> None:
        try:
            process = psutil.Process(root)
            family = [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for member in family:  # parents come before their children
            parents_kind = self._kinds.get(_parent(member), UNKNOWN)
            self._processes[member.pid] = member
            self._kinds[member.pid] = kind_of(_command_line(member)) or parents_kind

    def start(self) -> None:
        """The window opens: read the counters."""
        self._before = self._read_cpu_s()

    def stop(self) -> None:
        """The window closes: read them again."""
        self._after = self._read_cpu_s()

    def cpu_s_by_kind(self) -> dict[str, float]:
        """CPU seconds (user + system) between `start` and `stop`."""
        spent: dict[str, float] = defaultdict(float)
        for pid, after in self._after.items():
            spent[self._kinds[pid]] += after - self._before.get(pid, after)
        return {kind: round(seconds, 3) for kind, seconds in sorted(spent.items())}

    def memory_mb_by_kind(self) -> dict[str, float]:
        """Memory now, in MB: the proportional share of shared pages where the system tells, else resident."""
        used: dict[str, float] = defaultdict(float)
        for pid, process in self._processes.items():
            used[self._kinds[pid]] += _memory_mb(process)
        return {kind: round(megabytes, 1) for kind, megabytes in sorted(used.items())}

    def _read_cpu_s(self) -> dict[int, float]:
        return {pid: cpu for pid, p in self._processes.items() if (cpu := _cpu_s(p)) is not None}


def _parent(process: psutil.Process) -> int:
    try:
        return int(process.ppid())
    except psutil.Error:
        return 0


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _cpu_s(process: psutil.Process) -> float | None:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return None
    return float(times.user + times.system)


def _memory_mb(process: psutil.Process) -> float:
    try:
        info = process.memory_full_info()
    except psutil.Error:
        return 0.0
    return float(getattr(info, "pss", 0) or info.rss) / 1e6
