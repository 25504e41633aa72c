"""The models, and the answers to work on them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from config.contracts import ChallengerPointer, WorkerReport
from config.queue.model_jobs import ModelJob


class ReloadAnswer(msgspec.Struct, frozen=True):
    """Each scoring worker's answer; `agreed` when every expected one serves the champion."""

    workers: list[WorkerReport]
    agreed: bool


class ModelEntry(msgspec.Struct, frozen=True):
    """One model bundle in the bundle store. `report` is what training measured, `gate` the newest decision about it."""

    model_version: str
    is_champion: bool
    digest: str
    created_at: str
    report: dict[str, Any]
    gate: dict[str, Any] | None = None


class ModelList(msgspec.Struct, frozen=True):
    """The champion pointer, every bundle known, and the audit trail, newest first.

    `events`: who promoted, rejected or rolled back what, when and why; None while the ledger cannot be read.
    `challenger`: the model that scoring workers load beside the champion; `guard`: how the newer of the two keeps its
    guardrails, at the last check. `incremental`: what the incremental model has learned from, and by week how good it
    was when it mattered (`prequential`) beside what was answered (`served`); None before its first step.
    """

    champion: dict[str, Any] | None
    models: list[ModelEntry]
    events: list[dict[str, Any]] | None = None
    challenger: ChallengerPointer | None = None
    guard: dict[str, Any] | None = None
    incremental: dict[str, Any] | None = None


class TrainingState(msgspec.Struct, frozen=True):
    """Whether a training runs, and the newest one with what came of it."""

    status: Literal["idle", "queued", "running"]
    latest: ModelJob | None
