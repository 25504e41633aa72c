"""The supervisor on small real processes: no Tollgate in them, no sockets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.launcher.child import Process
from deploy.launcher.guardian import is_running
from deploy.launcher.supervisor import UNAVAILABLE, StopRequested, Supervisor

LIMIT_S = 10.0
SLEEPER = ("sleep", "300")
FAMILY = ("sh", "-c", "sleep 300 & sleep 300")


class RecordedGroups:
    """Stands for the guardian: remembers what it was told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def add(self, group: int, rank: int) -> None:
        self.told.append(("+", group))

    def remove(self, group: int) -> None:
        self.told.append(("-", group))

    def check(self) -> None:
        pass

    def close(self) -> None:
        self.told.append(("closed", 0))


@pytest.fixture
def groups() -> RecordedGroups:
    return RecordedGroups()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, groups: RecordedGroups, said: list[str]) -> Iterator[Supervisor]:
    supervisor = Supervisor(log_dir=tmp_path, environment=dict(os.environ), groups=groups, say=said.append, turn_s=0.01)
    yield supervisor
    supervisor.stop()


def turn_until(supervisor: Supervisor, is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not is_true():
        assert time.monotonic() < deadline, "it did not happen"
        supervisor.turn()


def pid_of(supervisor: Supervisor, name: str) -> int | None:
    child = supervisor.watched[name].child
    return child.pid if child else None


def test_a_process_that_is_killed_is_started_again_with_a_new_pid(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.start(Process("sleeper", SLEEPER, 0))
    first = pid_of(supervisor, "sleeper")
    assert first is not None

    os.kill(first, signal.SIGKILL)
    turn_until(supervisor, lambda: pid_of(supervisor, "sleeper") not in (first, None))

    assert supervisor.watched["sleeper"].restarts == 1
    assert said == ["sleeper ended (SIGKILL) and is started again"]


def test_what_a_dead_process_left_in_its_group_is_killed_too(supervisor: Supervisor) -> None:
    supervisor.start(Process("family", FAMILY, 0))
    first = pid_of(supervisor, "family")
    assert first is not None

    os.kill(first, signal.SIGKILL)
    turn_until(supervisor, lambda: pid_of(supervisor, "family") not in (first, None))

    turn_until(supervisor, lambda: not is_running(first))


def test_repeated_quick_crashes_are_held_back_but_never_longer_than_two_seconds(
    supervisor: Supervisor,
) -> None:
    supervisor.start(Process("crasher", ("false",), 0))

    turn_until(supervisor, lambda: supervisor.watched["crasher"].quick_crashes >= 3)

    watched = supervisor.watched["crasher"]
    assert 0.2 <= watched.restart_at - watched.started <= 2.5
    assert watched.last_exit == 1


def test_a_process_that_says_it_is_unavailable_is_left_alone(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.start(Process("absent", ("sh", "-c", f"exit {UNAVAILABLE}"), 0))

    turn_until(supervisor, lambda: supervisor.watched["absent"].fate == "unavailable")
    supervisor.turn()

    assert pid_of(supervisor, "absent") is None
    assert said == ["absent ended (exit 69) and is not available here, going on without"]


def test_a_job_that_is_done_is_not_started_again_and_not_talked_about(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.start(Process("job", ("true",), 0, once=True))
    supervisor.start(Process("failing-job", ("false",), 0, once=True))

    turn_until(supervisor, lambda: supervisor.watched["job"].fate == "done")
    turn_until(supervisor, lambda: supervisor.watched["failing-job"].fate == "given up")

    assert pid_of(supervisor, "job") is None
    assert said == ["failing-job ended (exit 1) and is not tried again before the next start"]


def test_stopping_goes_by_rank_and_leaves_nothing(supervisor: Supervisor, groups: RecordedGroups) -> None:
    supervisor.start(Process("last", SLEEPER, 2))
    supervisor.start(Process("first", FAMILY, 0))
    last, first = pid_of(supervisor, "last"), pid_of(supervisor, "first")
    assert last is not None
    assert first is not None

    supervisor.stop()

    assert groups.told[-3:] == [("-", first), ("-", last), ("closed", 0)]
    assert not is_running(first)
    assert not is_running(last)


def test_a_step_runs_to_its_end_and_gives_its_exit_code(supervisor: Supervisor) -> None:
    assert supervisor.run(Process("step", ("sh", "-c", "exit 3"), 0)) == 3


def test_a_stop_during_a_step_ends_the_step(supervisor: Supervisor, groups: RecordedGroups) -> None:
    supervisor.request_stop()

    with pytest.raises(StopRequested):
        supervisor.run(Process("step", SLEEPER, 0))

    sign, group = groups.told[-1]
    assert sign == "-"
    assert not is_running(group)


def test_others_are_still_watched_during_a_step(supervisor: Supervisor) -> None:
    supervisor.start(Process("sleeper", SLEEPER, 0))
    first = pid_of(supervisor, "sleeper")

    supervisor.run(Process("step", ("kill", "-9", str(first)), 0))
    turn_until(supervisor, lambda: pid_of(supervisor, "sleeper") not in (first, None))

    assert supervisor.watched["sleeper"].restarts == 1


def test_the_output_of_a_process_is_in_its_log(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.run(Process("speaker", ("sh", "-c", "echo said; echo complained >&2"), 0))

    assert (tmp_path / "speaker.log").read_text() == "said\ncomplained\n"


def test_a_launcher_whose_parent_has_gone_stops(tmp_path: Path, groups: RecordedGroups) -> None:
    supervisor = Supervisor(log_dir=tmp_path, environment={}, groups=groups, say=print, parent=-1)

    with pytest.raises(StopRequested):
        supervisor.turn()


def test_the_guardian_stops_what_a_killed_launcher_left(tmp_path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from deploy.launcher.child import Process
from deploy.launcher.supervisor import Supervisor
from deploy.launcher.tether import Tether
s = Supervisor(log_dir=Path({str(tmp_path)!r}), environment=dict(os.environ), groups=Tether(), say=print)
s.start(Process("family", {FAMILY!r}, 0))
print(s.watched["family"].child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    launcher = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)

    group = int(launcher.stdout)
    deadline = time.monotonic() + LIMIT_S
    while is_running(group):
        assert time.monotonic() < deadline, "the guardian left the group running"
    assert launcher.returncode == -signal.SIGKILL
