"""One `tollgate up` per data directory: a lock on a file in it, held until the last child is gone."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from config.errors import SettingInvalid
from config.pids import is_alive

POLL_S = 0.1


def hold_lock(path: Path, *, patience_s: float) -> int:
    """Take the lock, writing this process's id into the file; returns the open file descriptor.

    Waits up to `patience_s` when the owner has died and its guardian is still stopping what it left behind.

    Raises:
        SettingInvalid: another launcher uses this directory.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    deadline = time.monotonic() + patience_s
    while not _locked(descriptor):
        owner = _owner(descriptor)
        if is_alive(owner) or time.monotonic() > deadline:
            os.close(descriptor)
            raise SettingInvalid(
                f"another `tollgate up` (process {owner}) uses {path.parent.parent}:"
                " stop it, or set TOLLGATE_DATA_DIR to another directory"
            )
        time.sleep(POLL_S)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(descriptor: int) -> int:
    text = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
    return int(text) if text.isdigit() else 0
