"""Ask every scoring worker to load the champion again, and collect what each says.

The pointer's generation is the request: it is raised by one, and a broadcast tells the workers to look now instead
of at their next check. A worker that never answers is listed as `timeout`, with what it served when it last reported.
"""

from __future__ import annotations

import time

import msgspec
import redis
from celery import Celery

from config import names
from config.contracts import ChampionPointer, WorkerReport
from config.errors import NotReady
from config.queue.stats import expected_workers, read_champion
from web.ports.gateway import ReloadReport

CHECK_S = 0.05
ASKED = "asked"
"""The status of a worker whose answer nobody waited for."""


class ReloadRequest:
    """Runs reload requests for one web process."""

    def __init__(self, client: redis.Redis, app: Celery) -> None:
        self._client = client
        self._app = app

    def run(self, timeout_s: float) -> ReloadReport:
        """Raise the generation, tell the workers, wait for them at most `timeout_s`.

        Raises:
            NotReady: no model is promoted.
            redis.RedisError: the broker is gone.
        """
        expected = {report.worker: report for report in self._scoring_workers()}
        pointer = self._next_generation()
        self._broadcast()
        deadline = time.monotonic() + timeout_s
        while True:
            answers = {r.worker: r for r in self._scoring_workers() if r.generation >= pointer.generation}
            if expected.keys() <= answers.keys() or time.monotonic() >= deadline:
                return _report(expected, answers, pointer, silence="timeout" if timeout_s else ASKED)
            time.sleep(CHECK_S)

    def _scoring_workers(self) -> list[WorkerReport]:
        return [report for report in expected_workers(self._client) if report.role in names.ROLES_WITH_A_MODEL]

    def _next_generation(self) -> ChampionPointer:
        with self._client.pipeline() as pipe:
            while True:
                try:
                    pipe.watch(names.CHAMPION)
                    pointer = read_champion(pipe)
                    if pointer is None:
                        raise NotReady("no model is promoted yet; train one with `tollgate train`")
                    raised = msgspec.structs.replace(pointer, generation=pointer.generation + 1)
                    pipe.multi()
                    pipe.set(names.CHAMPION, msgspec.json.encode(raised))
                    pipe.execute()
                except redis.WatchError:
                    continue
                return raised

    def _broadcast(self) -> None:
        with self._app.connection_for_write() as connection:
            self._app.control.broadcast(names.CONTROL_RELOAD, connection=connection, reply=False)


def _report(
    expected: dict[str, WorkerReport], answers: dict[str, WorkerReport], pointer: ChampionPointer, *, silence: str
) -> ReloadReport:
    silent = [
        msgspec.structs.replace(last, status=silence) for name, last in sorted(expected.items()) if name not in answers
    ]
    workers = [*(answers[name] for name in sorted(answers)), *silent]
    agreed = bool(workers) and all(worker.status == "serving" and worker.digest == pointer.digest for worker in workers)
    return ReloadReport(workers, agreed)
