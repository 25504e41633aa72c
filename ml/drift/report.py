"""What a drift check found. JSON types only: the ledger stores it, the web side passes it on."""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["stable", "drifting", "strong", "too few decisions", "no reference", "no model"]
Finding = Literal["distribution", "missing", "unknown", "outside"]


class QualityShare(msgspec.Struct, frozen=True):
    """A share of rows, 0 to 1, in the reference and in the window; `p_value` of the difference."""

    reference: float
    window: float
    p_value: float


class ColumnDrift(msgspec.Struct, frozen=True, kw_only=True):
    """One column, or the score.

    `psi`: population stability index; `expected_psi`: its mean without drift. `p_value` is not corrected; `findings`
    are: what is both more than chance over all columns and large enough to matter. `reference`, `window`: shares per
    bin of `labels`.
    """

    name: str
    psi: float
    expected_psi: float
    p_value: float
    importance: float
    findings: list[Finding]
    missing: QualityShare
    unknown: QualityShare | None
    outside: QualityShare | None
    labels: list[str]
    reference: list[float]
    window: list[float]

    @property
    def is_drifting(self) -> bool:
        return "distribution" in self.findings


class DriftReport(msgspec.Struct, frozen=True, kw_only=True):
    """One check. `since`, `until`: ISO 8601, UTC, of when the decisions were scored.

    `rows`: decisions compared, a sample of `decisions`. `other_models`: decisions in the window by another bundle, or
    by the policy file alone, which are left out. `columns`: findings first, then the least likely by chance.
    `false_alarm_rate`: largest share of checks that find something although nothing has changed.
    `importance_drifting`: share of importance of the columns whose distribution drifts.
    """

    status: Status
    detail: str
    model_version: str
    model_digest: str
    since: str
    until: str
    decisions: int = 0
    other_models: int = 0
    rows: int = 0
    days: int = 0
    false_alarm_rate: float = 0.0
    importance_drifting: float = 0.0
    score: ColumnDrift | None = None
    columns: list[ColumnDrift] = []

    @property
    def drifting(self) -> list[str]:
        """The columns whose distribution drifts, the least likely by chance first."""
        return [column.name for column in self.columns if column.is_drifting]
