"""A worker that yields does so for its session too, where the session is its own."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from workers import niceness

SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}


@pytest.fixture
def autogroup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(niceness, "AUTOGROUP", tmp_path / "autogroup")
    monkeypatch.setattr(os, "nice", lambda _: 0)
    monkeypatch.setattr(niceness, "run_in_long_slices", lambda: None)
    return tmp_path / "autogroup"


def test_the_leader_of_a_session_lowers_the_whole_session(autogroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getsid", lambda _: os.getpid())

    niceness.yield_to_others(7)

    assert autogroup.read_text() == "7"


def test_a_session_that_others_lead_is_left_alone(autogroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getsid", lambda _: os.getpid() + 1)

    niceness.yield_to_others(7)

    assert not autogroup.exists()


def test_a_system_without_autogroups_is_no_error(monkeypatch: pytest.MonkeyPatch, autogroup: Path) -> None:
    monkeypatch.setattr(os, "getsid", lambda _: os.getpid())
    monkeypatch.setattr(niceness, "AUTOGROUP", autogroup / "absent" / "file")

    niceness.yield_to_others(7)


@pytest.mark.skipif(not platform.release().startswith("6."), reason="slices are Linux 6.12's")
def test_a_thread_runs_in_long_slices_with_the_niceness_that_it_had() -> None:
    # In a thread that ends: the attributes are the thread's own.
    with ThreadPoolExecutor(max_workers=1) as pool:
        before, after = pool.submit(lambda: (attributes(), niceness.run_in_long_slices(), attributes())[::2]).result()

    assert after[0] == before[0] == os.getpriority(os.PRIO_PROCESS, 0)
    minor = int(platform.release().split(".")[1])
    assert minor < 12 or after[1] == niceness.SLICE_NS


def attributes() -> tuple[int, int]:
    """The niceness of the calling thread, and its slice in nanoseconds."""
    read = ctypes.create_string_buffer(48)
    assert ctypes.CDLL(None).syscall(SCHED_GETATTR[platform.machine()], 0, read, 48, 0) == 0
    _, _, _, nice, _, runtime_ns, _, _ = struct.unpack("=IIQiIQQQ", read.raw)
    return nice, runtime_ns
