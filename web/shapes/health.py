"""How the service is, in few words."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from config.contracts import WorkerReport


class HealthReport(msgspec.Struct, frozen=True):
    """Whether this service can score, and with what.

    `served_versions`: the models in service now, by every worker that reports; more than one while a swap is under way.
    """

    status: Literal["ok", "unavailable"]
    model_version: str | None
    champion: dict[str, Any] | None
    workers: list[WorkerReport]
    broker: Literal["up", "down"]
    canary_age_s: float | None
    detail: str = ""
    served_versions: list[str] = []


class Trouble(msgspec.Struct, frozen=True):
    """Something that calls for somebody: now if `critical`, today if `warning`. `alert`: the section of docs/RUNBOOK.md
    about it.
    """

    what: str
    alert: str
    severity: Literal["critical", "warning"] = "critical"


class MetricsSummary(msgspec.Struct, frozen=True):
    """What is wrong now, the worst first, and what this service did so far, for people; a part that cannot be read is
    `{"unavailable": why}`.
    """

    wrong: list[Trouble]
    decisions: dict[str, Any]
    quality: dict[str, Any]
    queue: dict[str, Any]
    drift: dict[str, Any]
    service: HealthReport


class Liveness(msgspec.Struct, frozen=True):
    """This web process runs."""

    status: Literal["ok"]
