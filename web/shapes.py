"""The JSON that web answers with, as typed structures. The OpenAPI document takes its schemas from here.

The decision itself is `config.contracts.Decision`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from config.contracts import WorkerReport
from config.queue.model_jobs import ModelJob
from web.ports import LabelSource


class Pending(msgspec.Struct, frozen=True):
    """Accepted, not decided yet: ask at `location` again, `retry_after_s` seconds from now."""

    status: Literal["pending"]
    transaction_id: str
    location: str
    retry_after_s: int


class LabelRecord(msgspec.Struct, frozen=True):
    """The label as it was kept.

    `matched`: it belongs to a decision; otherwise it was kept as a labelled transaction of its own. `status`:
    "stored" in the ledger, or "accepted" and durable on its way there.
    """

    status: Literal["stored", "accepted"]
    label_id: str
    matched: bool
    transaction_id: str | None
    decision_id: str | None
    is_fraud: bool
    source: LabelSource
    reason_code: str | None
    known_at: str
    amount: float | None


class HealthReport(msgspec.Struct, frozen=True):
    """Whether this service can score, and with what."""

    status: Literal["ok", "unavailable"]
    model_version: str | None
    champion: dict[str, Any] | None
    workers: list[WorkerReport]
    broker: Literal["up", "down"]
    canary_age_s: float | None
    detail: str = ""


class Liveness(msgspec.Struct, frozen=True):
    """This web process runs."""

    status: Literal["ok"]


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
    """

    champion: dict[str, Any] | None
    models: list[ModelEntry]
    events: list[dict[str, Any]] | None = None


class TrainingState(msgspec.Struct, frozen=True):
    """Whether a training runs, and the newest one with what came of it."""

    status: Literal["idle", "queued", "running"]
    latest: ModelJob | None


class DecisionRecord(msgspec.Struct, frozen=True):
    """A stored decision: what was answered, what the client sent, and, apart from it, what was derived.

    `id`: place in the ledger, the cursor of GET /decisions. `sequence`: place in the order of arrival.
    """

    id: int
    sequence: int
    decision: dict[str, Any]
    sent: dict[str, Any]
    derived: dict[str, Any]
    labels: list[dict[str, Any]]


class DecisionPage(msgspec.Struct, frozen=True):
    """Decisions, newest first. `next`: where the following page is, None at the end."""

    decisions: list[DecisionRecord]
    next: str | None
