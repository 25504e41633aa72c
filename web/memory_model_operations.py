"""Work on models without a queue: every job waits until a test says what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from config.errors import TollgateError, TrainingRunning
from config.queue.model_jobs import ChallengerKind, JobKind, ModelJob
from web.ports.models import ChallengerState


@dataclass(slots=True)
class MemoryModelOperations:
    """Keeps the promises of `web.ports.models`. `answers`: what comes of the next jobs, by kind, at once; without one a
    job stays queued. `failure`: what calls that need the broker raise.
    """

    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    failure: TollgateError | None = None
    jobs: list[ModelJob] = field(default_factory=list)
    state: ChallengerState = field(default_factory=ChallengerState)

    def retrain(self, *, actor: str) -> ModelJob:
        """See `ModelOperations.retrain`."""
        latest = self.latest_training()
        if latest is not None and latest.status == "running":
            raise TrainingRunning("a training is running")
        return self._ask("retrain", actor) if latest is None or latest.is_finished else latest

    def latest_training(self) -> ModelJob | None:
        """See `ModelOperations.latest_training`."""
        self._require_broker()
        return next((job for job in reversed(self.jobs) if job.kind == "retrain"), None)

    def promote(self, model_version: str, *, force: bool, actor: str) -> ModelJob:
        """See `ModelOperations.promote`."""
        return self._ask("promote", actor, model_version=model_version, force=force)

    def roll_back(self, *, actor: str) -> ModelJob:
        """See `ModelOperations.roll_back`."""
        return self._ask("rollback", actor)

    def compare(self, kind: ChallengerKind, model_version: str | None, *, share: float, actor: str) -> ModelJob:
        """See `ModelOperations.compare`."""
        return self._ask(kind, actor, model_version=model_version, share=share)

    def challenger(self) -> ChallengerState:
        """See `ModelOperations.challenger`."""
        self._require_broker()
        return self.state

    def find(self, job_id: str) -> ModelJob | None:
        """See `ModelOperations.find`."""
        self._require_broker()
        return next((job for job in self.jobs if job.job_id == job_id), None)

    def wait_for(self, job: ModelJob, *, timeout_s: float) -> ModelJob:  # noqa: ARG002  nothing to wait for
        """See `ModelOperations.wait_for`."""
        return job

    def _ask(self, kind: JobKind, actor: str, **more: Any) -> ModelJob:
        self._require_broker()
        number = f"job-{len(self.jobs) + 1}"
        job = ModelJob(
            job_id=number, kind=kind, status="queued", actor=actor, requested_at="2026-03-01T12:00:00+00:00", **more
        )
        self.jobs.append(replace(job, **self.answers.get(kind, {})))
        return self.jobs[-1]

    def _require_broker(self) -> None:
        if self.failure is not None:
            raise self.failure
