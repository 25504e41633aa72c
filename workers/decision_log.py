"""One line per decision at level `debug`: which request, transaction and task led to which decision."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec
import structlog

from config.contracts import Decision
from workers.store import NEW, Finished

log = structlog.get_logger(__name__)


def log_decisions(finished: Sequence[Finished]) -> None:
    """Log what is new in a batch; at other levels this costs one look at the level."""
    if not logging.getLogger(__name__).isEnabledFor(logging.DEBUG):
        return
    for item in finished:
        if item.status == NEW:
            decision = msgspec.json.decode(item.decision, type=Decision)
            log.debug(
                "decided",
                transaction_id=decision.transaction_id,
                decision_id=decision.decision_id,
                request_id=item.row.request_id,
                action=decision.action,
                model_version=decision.model_version,
            )
