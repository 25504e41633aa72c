"""What the ledger knows of labels that are sent again: Redis remembers them for a week only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog

from config.errors import LedgerUnavailable

log = structlog.get_logger(__name__)


class LabelLookup(Protocol):
    """The part of the ledger that knows what labels said."""

    def label_digests(self, label_ids: Sequence[str]) -> Mapping[str, str]:
        """By label id what stored labels say (`LabelEntry.content_digest`). Raises LedgerUnavailable."""


def said_in_ledger(lookup: LabelLookup, label_ids: Sequence[str]) -> Mapping[str, str]:
    """By label id what stored labels say.

    Nothing is known without the ledger: labels are accepted all the same. The worker compares before it records.
    """
    try:
        return lookup.label_digests(label_ids)
    except LedgerUnavailable as error:
        log.warning("labels_not_compared", labels=len(label_ids), reason=error.detail)
        return {}
