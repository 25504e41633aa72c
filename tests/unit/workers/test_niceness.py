"""A worker that yields does so for its session too, where the session is its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workers import niceness


@pytest.fixture
def autogroup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(niceness, "AUTOGROUP", tmp_path / "autogroup")
    monkeypatch.setattr(os, "nice", lambda _: 0)
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
