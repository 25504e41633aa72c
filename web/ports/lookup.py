"""What the gateway reads from the ledger: ids are as they are kept, with their tenant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from web.ports.labels import Label


class DecisionLookup(Protocol):
    """Decisions as their JSON, by id, and what labels are about. Every method raises LedgerUnavailable."""

    def decision_json(self, transaction_id: str) -> bytes | None:
        """The stored decision of this transaction, encoded, or None."""

    def find_label_target(self, label: Label) -> tuple[str, str] | None:
        """`(decision_id, transaction_id)` of the decision that the label is about, or None."""

    def find_label_targets(self, labels: Sequence[Label]) -> Sequence[tuple[str, str] | None]:
        """The same for labels by id: one per label in order."""

    def label_digests(self, label_ids: Sequence[str]) -> Mapping[str, str]:
        """By label id what stored labels say (`LabelEntry.content_digest`)."""
