"""A Tollgate of real processes that a scenario may break, started by the launcher's own command lines."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import redis
from kombu.exceptions import OperationalError

from config import names
from config.celery_app import make_celery
from config.queue.connections import make_redis
from config.queue.stats import queue_stats, worker_reports
from config.schema.load import load_schema
from config.settings import Settings
from deploy.bench.site import answers
from deploy.launcher import processes
from deploy.launcher.child import Process
from ml.ledger import Ledger
from ml.registry import ensure_champion
from tests.faults.breakable import STOP_LIMIT_S, TURN_S, BreakableProcesses
from tests.servers import RunningValkey, free_port, running_valkey

REPOSITORY = Path(__file__).resolve().parents[2]
WORKER_APP = "tests.faults.worker_app"
START_LIMIT_S = 120.0
TICK_S = 0.5
SCORING = ("scoring-1", "scoring-2")
SKEWED_ENVIRONMENT = {"PYTHONPATH": f"{Path(__file__).parent / 'skewed'}:{REPOSITORY}"}
"""For a process whose clock is to be `TOLLGATE_TEST_CLOCK_AHEAD_S` ahead."""


class FaultStack(BreakableProcesses):
    """Valkey, ledger, web, two scoring workers, background worker and beat, in a directory of their own."""

    def __init__(self, settings: Settings, valkey: RunningValkey, *, is_full: bool) -> None:
        super().__init__(settings.data_dir / "logs", self.environment, self._describe)
        self.settings = settings
        self.valkey = valkey
        self.is_full = is_full
        self._ticked_at = 0.0
        self.client = make_redis(self.settings, timeout_s=5.0)
        self._app = make_celery(self.settings, "web")
        self.schema = load_schema(self.settings.schema_file)
        self.fault_dir = self.settings.data_dir / "faults"
        for directory in (self.log_dir, self.fault_dir):
            directory.mkdir(parents=True, exist_ok=True)

    @property
    def port(self) -> int:
        return self.settings.port

    def standard(self) -> dict[str, Process]:
        """The processes of a whole stack, by name."""
        wanted = [processes.web(self.settings), *map(processes.scoring, (1, 2)), processes.background()]
        return {process.name: process for process in [*wanted, processes.beat()]}

    def make_whole(self, *instead: Process) -> None:
        """Start what is missing, replace what is not standard, and wait until two workers serve.

        `instead`: processes that take the place of the standard ones of their names.
        """
        wanted = self.standard() | {process.name: process for process in instead}
        for name, process in wanted.items():
            child = self.children.get(name)
            if child is None or child.has_ended() or child.process != process:
                self.replace(process)
        for name in self.children.keys() - wanted.keys():
            self.kill(name)
        self.wait_until_serving()

    def wait_until_serving(self, *workers: str) -> None:
        """Return when /health is 200 and these workers (the two standard ones by default) have a model."""
        wanted = set(workers or SCORING)
        self.wait_until(lambda: wanted <= self.serving() and answers(self.port, "GET", "/health"), START_LIMIT_S)

    def serving(self) -> set[str]:
        """The scoring workers that run now and have loaded a model since they were started."""
        loaded_at = self._loaded_at()
        alive = {name for name, child in self.children.items() if not child.has_ended()}
        return {name for name in alive & loaded_at.keys() if loaded_at[name] > self.started_at[name]}

    def serving_since(self, since: float) -> set[str]:
        """The scoring workers, whoever runs them, that have loaded a model since then (Unix seconds)."""
        return {name for name, loaded_at in self._loaded_at().items() if loaded_at > since}

    def _loaded_at(self) -> dict[str, float]:
        """When each worker loaded its model. A killed worker's last report outlives it by seconds."""
        try:
            reports = worker_reports(self.client, self.settings.heartbeat_s)
        except redis.RedisError:
            return {}
        return {
            report.worker.partition("@")[0]: datetime.fromisoformat(report.loaded_at).timestamp()
            for report in reports
            if report.status == "serving" and report.loaded_at is not None
        }

    def environment(self) -> dict[str, str]:
        """What every process of this stack gets."""
        inherited = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TOLLGATE_FAULT_DIR": str(self.fault_dir)}
        return processes.environment(self.settings, inherited)

    def faulty(self, number: int, **env: str) -> Process:
        """Scoring worker `number` with the switchable faults of `tests.faults.worker_app`."""
        process = processes.scoring(number)
        argv = tuple(WORKER_APP if word == "workers.app" else word for word in process.argv)
        return replace(process, argv=argv, env={**process.env, "TOLLGATE_FAULT_WORKER": process.name, **env})

    def clear_switches(self) -> None:
        """Switch every fault off."""
        for switch in self.fault_dir.iterdir():
            switch.unlink()

    def switch(self, fault: str, content: str = "") -> Path:
        """Switch a fault on; remove the file to switch it off."""
        path = self.fault_dir / fault
        path.write_text(content)
        return path

    def stats(self) -> dict[str, float]:
        """Depths of queues, inbox, journal. Raises RedisError."""
        return queue_stats(self.client)

    def settle(self, limit_s: float) -> float:
        """Wait until nothing accepted is unfinished: inbox and journal empty. Returns the seconds it took.

        What dies meanwhile is started again: beat does when it loses the broker. In the short form the test sends the
        ticks as well, since the next beat waits up to 30 s for the lock that a killed one has left.
        """
        began = time.monotonic()
        self.wait_until(lambda: self._tick() or self.is_settled(), limit_s)
        return time.monotonic() - began

    def _tick(self) -> None:
        self.revive()
        if self.is_full or time.monotonic() - self._ticked_at < TICK_S:
            return
        self._ticked_at = time.monotonic()
        for task in (names.TASK_DRAIN_JOURNAL, names.TASK_REAP_INBOX):
            with contextlib.suppress(redis.RedisError, OperationalError):
                self.ask_background(task)

    def ask_background(self, task: str) -> None:
        """What beat does when a task is due. Raises RedisError, OperationalError."""
        self._app.send_task(task, ignore_result=True)

    def is_settled(self) -> bool:
        """Whether inbox and journal are empty; not while the broker is away."""
        try:
            stats = self.stats()
        except redis.RedisError:
            return False
        return stats["inbox_entries"] == stats["journal_length"] == stats["journal_bulk_entries"] == 0

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The ledger that the background worker writes."""
        ledger = Ledger(self.settings.database_url, schema=self.schema)
        try:
            yield ledger
        finally:
            ledger.close()

    @contextmanager
    def on_ledger(self, database_url: str) -> Iterator[None]:
        """Keep the ledger in another database for the length of the block."""
        own, readers = self.settings, ("web", "background")
        self.settings = own.model_copy(update={"database_url": database_url})
        try:
            with self.ledger() as ledger:
                ledger.migrate()
            for name in readers:
                self.restart(name)
            self.wait_until_serving()
            yield
        finally:
            self.settings = own
            for name in readers:
                self.kill(name)

    def close(self) -> None:
        """Kill everything that is left, and make sure that it is gone."""
        self.bury_all()
        self.client.close()
        deadline = time.monotonic() + STOP_LIMIT_S
        while left := self.processes():
            assert time.monotonic() < deadline, f"processes are left: {left}"
            time.sleep(TURN_S)

    def processes(self) -> set[int]:
        """Every living process that carries this stack's data directory in its environment."""
        mark = f"TOLLGATE_DATA_DIR={self.settings.data_dir}".encode()
        return {pid for pid in _all_pids() if mark in _environment_of(pid).split(b"\0")}

    def _describe(self) -> str:
        try:
            return str(self.stats())
        except redis.RedisError as error:
            return f"broker: {error}"


@contextmanager
def running_stack(template: Path, *, is_full: bool, settings: Mapping[str, Any] | None = None) -> Iterator[FaultStack]:
    """A stack with the model of `template`, empty Valkey and ledger; at the end all of its processes are gone.

    Only Valkey runs yet: `make_whole` starts the rest.

    In the short form the waits that only pass time are shorter: when unacknowledged and overdue work comes back.
    """
    short = (
        {}
        if is_full
        else {"inbox_overdue_s": 4, "visibility_timeout_s": 5, "canary_interval_s": 1.0, "watchdog_s": 2.0}
    )
    with ExitStack() as closing:
        data_dir = Path(tempfile.mkdtemp(prefix="tollgate-faults-"))
        closing.callback(shutil.rmtree, data_dir, ignore_errors=True)
        shutil.copytree(template, data_dir, dirs_exist_ok=True)
        valkey = closing.enter_context(running_valkey())
        own = {"redis_port": valkey.port, "port": free_port(), "mlflow_enabled": False, "exporter_enabled": False}
        given: dict[str, Any] = own | short | dict(settings or {})
        stack = FaultStack(Settings(data_dir=data_dir, **given), valkey, is_full=is_full)
        closing.callback(stack.close)
        _prepare(stack)
        yield stack


def _prepare(stack: FaultStack) -> None:
    with stack.ledger() as ledger:
        ledger.migrate()
    assert ensure_champion(stack.client, stack.settings.model_dir, stack.schema.digest) is not None


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _environment_of(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes()
    return b""
