"""Stops every child when the launcher is gone without having done so itself (kill -9, out of memory).

Runs as a process of its own, from this file, with the standard library only. It reads the launcher's pipe:
`+ PGID RANK` when a process group starts, `- PGID` when it has ended. End of file means that the launcher is
dead: the groups are then stopped in the order of their ranks. It inherits the lock on the data directory, so
that a new launcher waits.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

GRACE_S = 20.0
POLL_S = 0.05


def follow(lines: Iterable[str]) -> dict[int, int]:
    """Read until the end of the pipe; returns the groups that still run: process group id -> rank."""
    ranks: dict[int, int] = {}
    for line in lines:
        sign, group, *rank = line.split()
        if sign == "+":
            ranks[int(group)] = int(rank[0])
        else:
            ranks.pop(int(group), None)
    return ranks


def is_running(group: int) -> bool:
    """Whether any process of the group is left, not counting the dead that nobody has collected."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    if not os.path.exists("/proc/self/stat"):
        return True
    return any(_lives_in(group, name) for name in os.listdir("/proc") if name.isdigit())


def _lives_in(group: int, pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            state, _parent, its_group = stat.read().rpartition(")")[2].split()[:3]
    except OSError:
        return False
    return int(its_group) == group and state not in "ZX"


def stop_groups(groups: list[int], grace_s: float) -> None:
    """SIGTERM to the groups, then SIGKILL to what is left after `grace_s`."""
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while any(is_running(group) for group in groups) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def main() -> None:
    """Follow the launcher on standard input; stop what it left behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ranks = follow(sys.stdin)
    for rank in sorted(set(ranks.values())):
        stop_groups([group for group, its_rank in ranks.items() if its_rank == rank], GRACE_S)


if __name__ == "__main__":
    main()
