"""`tollgate up`, step by step: what starts when, what is waited for, and what is watched afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from redis.exceptions import RedisError

from config.errors import TollgateError
from config.loopback import is_loopback
from config.queue.connections import make_redis
from config.queue.stats import worker_reports
from config.settings import Settings
from deploy.launcher import processes, valkey
from deploy.launcher.child import Process, log_path
from deploy.launcher.health import ask_health, reachable_at
from deploy.launcher.ports import runs_mlflow
from deploy.launcher.status_file import UpState, describe, write_state
from deploy.launcher.supervisor import Supervisor
from deploy.launcher.watchdog import Running, Watchdog

LOOK_S = 1.0
CRASHES_AT_START = 4
TAIL_LINES = 15


class StartFailed(TollgateError):
    """A part of the stack does not start; the message says which, and what its log says."""

    code = "start_failed"
    title = "A process does not start"


class Stack:
    """One machine's Tollgate. `start` returns once /health answers 200; `watch` goes on until a stop."""

    def __init__(self, settings: Settings, supervisor: Supervisor, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._supervisor = supervisor
        self._say = say
        self._redis = make_redis(settings, timeout_s=0.5, connections=2)
        self._watchdog = Watchdog(settings.watchdog_s)
        self._started_at = time.time()
        self._looked = 0.0
        supervisor.on_change = self._write_status

    def start(self) -> None:
        """Start everything, in the order that reaches the first decision soonest.

        Raises:
            StartFailed: a part keeps dying, or the first model could not be made.
            StopRequested: a stop was asked for meanwhile.
        """
        self._say(f"starting, with the data in {self._settings.data_dir}")
        self._start_broker()
        self._supervisor.start(processes.web(self._settings))
        # They import and wait for a champion; the others need the ledger's tables.
        for number in range(1, self._settings.scoring_workers + 1):
            self._supervisor.start(processes.scoring(number))
        for number in range(1, self._settings.bulk_workers + 1):
            self._supervisor.start(processes.bulk(number))
        self._run_step(processes.prepare(has_development_key=is_loopback(self._settings.host)))
        self._supervisor.start(processes.background())
        self._supervisor.start(processes.training())
        self._supervisor.start(processes.beat())
        self._say("waiting for a scoring worker to warm up")
        self._wait_for(self.is_healthy)
        self._start_sidecars()

    def watch(self) -> None:
        """Keep everything running, for ever. Raises StopRequested."""
        while True:
            self._supervisor.turn()
            self._look_for_hanging_workers()

    def is_healthy(self) -> bool:
        """Whether GET /health answers 200."""
        code, _ = ask_health(reachable_at(self._settings.host), self._settings.port)
        return code == 200

    def _start_broker(self) -> None:
        if not valkey.is_embedded(self._settings):
            self._say(f"using the broker of TOLLGATE_REDIS_URL, {valkey.without_password(self._settings.redis_url)}")
        else:
            (self._settings.data_dir / "valkey").mkdir(parents=True, exist_ok=True)
            self._supervisor.start(processes.valkey(self._settings, valkey.server_binary()))
        self._wait_for(lambda: valkey.is_answering(self._redis))

    def _start_sidecars(self) -> None:
        if runs_mlflow(self._settings):
            (self._settings.data_dir / "mlflow").mkdir(parents=True, exist_ok=True)
            self._supervisor.start(processes.mlflow(self._settings))
            self._supervisor.start(processes.record_models())
        if self._settings.exporter_enabled:
            self._supervisor.start(processes.celery_exporter(self._settings))

    def _run_step(self, process: Process) -> None:
        if status := self._supervisor.run(process):
            raise StartFailed(f"{process.name} failed with exit code {status}; its message is above")

    def _wait_for(self, is_ready: Callable[[], bool]) -> None:
        while not is_ready():
            self._supervisor.turn()
            self._require_no_crash_loop()

    def _require_no_crash_loop(self) -> None:
        for name, watched in self._supervisor.watched.items():
            if watched.quick_crashes >= CRASHES_AT_START:
                raise StartFailed(f"{name} does not start. The end of its log:\n{self._log_tail(name)}")

    def _log_tail(self, name: str) -> str:
        log = log_path(self._settings.data_dir / "logs", name)
        lines = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        return "\n".join([*(f"  {line}" for line in lines), f"The whole log: {log}"])

    def _look_for_hanging_workers(self) -> None:
        now = time.time()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        offset = now - time.monotonic()
        running = [
            Running(watched.process.worker, watched.started + offset, watched.process.patience)
            for watched in self._supervisor.watched.values()
            if watched.process.worker is not None and watched.child is not None
        ]
        try:
            reports = worker_reports(self._redis, self._settings.heartbeat_s)
        except RedisError:
            self._watchdog.broker_is_away(now)
            return
        for name, reason in self._watchdog.hanging(running, reports, now).items():
            self._supervisor.replace(name, reason)

    def _write_status(self) -> None:
        offset = time.time() - time.monotonic()
        watched = self._supervisor.watched.values()
        state = UpState(
            pid=os.getpid(),
            started_at=self._started_at,
            host=reachable_at(self._settings.host),
            port=self._settings.port,
            redis_url=valkey.without_password(self._settings.redis_url),
            data_dir=str(self._settings.data_dir),
            schema=str(self._settings.schema_file),
            processes=[describe(one, wall_minus_clock=offset) for one in watched],
        )
        write_state(status_path(self._settings), state)


def status_path(settings: Settings) -> Path:
    """Where `tollgate up` says what it runs."""
    return settings.data_dir / "run" / "up.json"
