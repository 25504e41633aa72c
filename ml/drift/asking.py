"""When drift asks for a challenger. It never promotes: the index rises where nothing is lost (ADR 0018)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ml.ledger.drift_reports import StoredDriftReport


def should_ask(digest: str, newest: Sequence[StoredDriftReport], *, not_since: datetime) -> bool:
    """Whether a strong finding about bundle `digest` is reason enough to train a challenger now.

    `newest`: earlier reports, newest first. The one before must have been strong too, about the same bundle, so that
    one odd window trains nothing; and nothing may have been asked for since `not_since`.
    """
    own = [stored for stored in newest if stored.report.model_digest == digest]
    if not own or own[0].report.status != "strong":
        return False
    return not any(stored.has_asked and stored.created_at >= not_since for stored in own)
