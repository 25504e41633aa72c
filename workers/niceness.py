"""How much of a core a worker may have while others want it, and how soon it lets go."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

AUTOGROUP = Path("/proc/self/autogroup")
SLICE_NS: Final = 20_000_000
_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274}
"""Numbers of Linux's system call, which Python has no name for."""
_ATTRIBUTES: Final = struct.Struct("=IIQiIQQQ")
"""`struct sched_attr`: size, policy, flags, nice, priority; then in nanoseconds runtime (of an ordinary process: its
slice), deadline and period.
"""


def yield_to_others(niceness: int) -> None:
    """Lower this process's priority by `niceness`, and its session's where the process leads one; run in long slices.

    Linux shares its cores among sessions first (sched_autogroup): of two processes in sessions of their own, each gets
    half of a core whatever their niceness is (measured: 1.08 and 0.92 s of 2 s with 0 and 19; 0.01 for the second with
    this).

    A share is not all: who wakes up for a moment, as the broker does after each fsync, waits for the next tick of the
    clock, 4 ms, behind a process with slices as short as its own, however low its priority. From 6.12 on Linux lets it
    in at once where slices are longer (measured with two busy processes beside a broker that fsyncs: 4.9 ms for a SET
    with niceness 19, 0.16 with long slices as well).
    """
    os.nice(niceness)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # another system, or switched off
            AUTOGROUP.write_text(str(niceness))
    run_in_long_slices()


def run_in_long_slices() -> None:
    """Nothing where the kernel does not know it: other systems, and Linux before 6.12, which ignores it."""
    number = _SCHED_SETATTR.get(platform.machine()) if platform.system() == "Linux" else None
    if number is None:
        return
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, 0, niceness, 0, SLICE_NS, 0, 0)
    ctypes.CDLL(None).syscall(number, 0, attributes, 0)  # a refusal changes nothing
