"""What goes into the ledger and what comes out of it, as frozen structures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, get_args

import msgspec

from config.contracts import Action, Decision, JournalEntry, JournalRecord, LabelSource
from config.errors import TollgateError
from ml.ledger.columns import require_aware

LABEL_SOURCES: tuple[str, ...] = get_args(LabelSource)


class LabelRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a transaction really was, on its way to the ledger.

    `label_id`: the idempotency id; a second record with the same one changes nothing. `known_at`: when the
    truth became known to the sender; of several labels of one decision the latest wins. `sequence`: place in
    the global arrival order (see `JournalRecord`). A label without `decision_id` stands alone: `digest`,
    `schema_digest` and `values` say what was labelled.

    Raises ValueError: a naive time, an unknown source, neither a decision nor values.
    """

    label_id: str
    is_fraud: bool
    source: LabelSource
    known_at: datetime
    received_at: datetime
    sequence: int
    decision_id: str | None = None
    transaction_id: str | None = None
    reason_code: str | None = None
    amount: float | None = None
    digest: str | None = None
    schema_digest: str | None = None
    values: list[Any] | None = None
    client: str = ""

    def __post_init__(self) -> None:
        require_aware(self.known_at)
        require_aware(self.received_at)
        if self.source not in LABEL_SOURCES:
            raise ValueError(f"label source {self.source!r} is none of {', '.join(LABEL_SOURCES)}")
        if self.decision_id is None and (self.values is None or self.digest is None):
            raise ValueError(f"label {self.label_id!r} has neither a decision_id nor values with a digest")


class StoredLabel(msgspec.Struct, frozen=True):
    """A label as the ledger holds it. `id` grows in the order of arrival in the ledger."""

    id: int
    label: LabelRecord

    @property
    def sequence(self) -> int:
        return self.label.sequence


class StoredDecision(msgspec.Struct, frozen=True):
    """A decision as the ledger holds it, with the label that counts now, if there is one.

    `id` grows in the order of arrival in the ledger and is the cursor of `Ledger.latest_decisions`.
    """

    id: int
    decision: Decision
    record: JournalRecord
    features: bytes
    received_at: datetime
    event_at: datetime
    scored_at: datetime
    label: LabelRecord | None = None

    @property
    def sequence(self) -> int:
        return self.record.sequence


class DecidedRow(msgspec.Struct, frozen=True):
    """Which transaction a row of `decisions` is about. `id` grows in the order of arrival in the ledger."""

    id: int
    transaction_id: str
    digest: str
    scored_at: datetime


class Deleted(msgspec.Struct, frozen=True):
    """How many rows a deletion took."""

    decisions: int
    labels: int


class DecisionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which decisions to list: all conditions given must hold. `since <= scored_at < until`.

    `entity` and `value` go together: the decisions about one account, card or merchant. `tenant`: None for all of them.
    """

    action: Action | None = None
    is_fraud: bool | None = None
    degraded: bool | None = None
    model_version: str | None = None
    min_probability: float | None = None
    max_probability: float | None = None
    since: datetime | None = None
    until: datetime | None = None
    labelled: bool | None = None
    entity: str | None = None
    value: str | None = None
    tenant: str | None = None


class EntriesRefused(TollgateError):
    """The database refused some entries for what they contain; all others were stored.

    `refused`: each with the reason. `stored`: how many of the others were new.
    """

    code = "entries_refused"
    status = 500
    title = "Entries refused by the ledger"

    def __init__(self, refused: Sequence[tuple[JournalEntry | LabelRecord, str]], stored: int) -> None:
        first, reason = refused[0]
        super().__init__(f"the ledger cannot hold {len(refused)} entries; the first is {_name(first)}: {reason}")
        self.refused = tuple(refused)
        self.stored = stored


def _name(entry: JournalEntry | LabelRecord) -> str:
    if isinstance(entry, LabelRecord):
        return f"label {entry.label_id!r}"
    return f"transaction {entry.decision.transaction_id!r}"
