"""What the pages read from the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from config.contracts import Action
from config.tenants import DEFAULT_TENANT
from ml.advisor.scores import DayScores
from ml.ledger.pulse import LedgerPulse
from ml.ledger.review_book import ReviewFigures, ReviewOrder
from ml.quality.cells import Cell, Dimension, QualityState


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """Which decisions to list, newest first. `before` (an `id`) pages on; times are aware. `tenant`: whose."""

    limit: int = 50
    before: int | None = None
    action: Action | None = None
    model_version: str | None = None
    is_fraud: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    min_probability: float | None = None
    max_probability: float | None = None
    labelled: bool | None = None
    entity: str | None = None
    value: str | None = None
    tenant: str = DEFAULT_TENANT


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """One row of the ledger: the decision as it was answered, what the client sent, what was derived.

    `id` grows in the order of arrival in the ledger; `sequence` in the order of scoring. `event_at`: when the payment
    happened. `features`: what the model saw, by column, None where a value was missing; only where one decision is
    asked for, and empty for one made under another schema. `client`: who sent it, empty where nobody shows credentials.
    """

    id: int
    sequence: int
    decision: Mapping[str, Any]
    sent: Mapping[str, Any] = field(default_factory=dict)
    derived: Mapping[str, Any] = field(default_factory=dict)
    labels: Sequence[Mapping[str, Any]] = ()
    event_at: datetime | None = None
    amount: float | None = None
    features: Mapping[str, float | None] = field(default_factory=dict)
    client: str = ""


class DecisionLedger(Protocol):
    """What the pages read from the ledger. Every method raises LedgerUnavailable when it is down.

    Where a `tenant` is asked for, nothing of another one is found, and ids are as that tenant sent them. The other
    methods speak of everybody's decisions together: what they say is the operator's.
    """

    def find_decision(self, decision_id: str, *, tenant: str) -> StoredDecision | None:
        """The decision with this decision id or transaction id."""

    def list_decisions(self, wanted: DecisionFilter) -> Sequence[StoredDecision]:
        """Newest first, at most `wanted.limit`."""

    def history_of(self, entity: str, value: str, *, limit: int, tenant: str) -> Sequence[StoredDecision]:
        """The decisions about one account, card or merchant, latest event first."""

    def open_reviews(
        self, order: ReviewOrder, *, limit: int, tenant: str, after: int | None = None
    ) -> Sequence[StoredDecision]:
        """A tenant's decisions to review without a label: those that may cost most first, or the oldest.

        `after`: only those that come after its decision with this `id`.
        """

    def review_figures(self, *, done_since: datetime, tenant: str) -> ReviewFigures:
        """How many cases wait and since when, and how many reviewers have labelled since a moment."""

    def drift_reports(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """The newest drift reports, newest first: id, created_at, has_asked, report; JSON types only."""

    def drift_report(self, report_id: int) -> Mapping[str, Any] | None:
        """One drift report; None when there is none of this id (any more)."""

    def model_events(self) -> Sequence[Mapping[str, Any]]:
        """The audit trail of models, newest first, some dozens; JSON types only."""

    def summary(self) -> Mapping[str, Any]:
        """Counts so far: decisions by action, fraud share, labels, accuracy; JSON types only."""

    def pulse(self) -> LedgerPulse:
        """What its newest rows say."""

    def quality_state(self) -> QualityState | None:
        """When live quality was rolled up, and with what; None before the first time."""

    def quality_newest_day(self, *, before: str) -> str | None:
        """The last day with decisions before a day (`2026-03-01`), or None."""

    def quality_cells(self, dimension: Dimension, *, since: str, until: str) -> Sequence[Cell]:
        """Live quality of the days in [since, until), by day."""

    def day_scores(self, *, since: str, until: str) -> Sequence[DayScores]:
        """Sums by score of the days in [since, until), by day and model version."""
