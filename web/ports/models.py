"""Work on models that operators ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from config.contracts import ChallengerPointer
from config.queue.model_jobs import ChallengerKind, ModelJob


@dataclass(frozen=True, slots=True)
class ChallengerState:
    """`pointer`: None while no model is compared with the champion. `guard`: the last check; None before the first."""

    pointer: ChallengerPointer | None = None
    guard: Mapping[str, Any] | None = None


class ModelOperations(Protocol):
    """Work on models, done by workers. Every method raises BrokerUnavailable; none waits longer than it is told."""

    def retrain(self, *, actor: str) -> ModelJob:
        """Ask for a training on the ledger; one that waits already is returned. Raises TrainingRunning."""

    def latest_training(self) -> ModelJob | None:
        """The newest training, whoever asked for it; "failed" when its worker died."""

    def promote(self, model_version: str, *, force: bool, actor: str) -> ModelJob:
        """Ask for a promotion by the gate, or, with `force`, without it."""

    def roll_back(self, *, actor: str) -> ModelJob:
        """Ask for the model that the champion replaced."""

    def compare(self, kind: ChallengerKind, model_version: str | None, *, share: float, actor: str) -> ModelJob:
        """Ask for a model beside the champion ("shadow", "canary" with a share), or for the end of that."""

    def challenger(self) -> ChallengerState:
        """The model beside the champion, and what the guard found last."""

    def find(self, job_id: str) -> ModelJob | None:
        """The job with this id."""

    def wait_for(self, job: ModelJob, *, timeout_s: float) -> ModelJob:
        """The job as it is once it has finished, or after `timeout_s`."""
