"""How long a label waits for its decision: a day, and for longer while the decision may still come.

After that it becomes a dead letter, which says so and can be replayed. A payment that failed, or that was dropped after
it was accepted, has no decision unless somebody sends it again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from config import names
from config.contracts import LabelEntry
from config.queue.stats import entry_age_s
from workers.background import BackgroundRuntime

PATIENCE_S: Final = 86_400
BEHIND_S: Final = 60.0
"""From this age on, what waits in a journal says that the ledger is behind."""


class LabelTooEarly(Exception):
    """The decision of this label is not in the ledger yet."""


class DecisionNeverCame(Exception):
    """The decision of this label is not in the ledger and not on its way there."""


def without_decision(runtime: BackgroundRuntime, labels: Sequence[LabelEntry]) -> LabelTooEarly | DecisionNeverCame:
    """What to raise about labels whose decisions the ledger does not have. Raises RedisError."""
    others = f" and {len(labels) - 1} more" if len(labels) > 1 else ""
    decision = f"the decision about {labels[0].transaction_id}{others}"
    if _may_come(runtime, labels):
        return LabelTooEarly(f"{decision} is not in the ledger yet")
    return DecisionNeverCame(f"{decision} never came to the ledger")


def _may_come(runtime: BackgroundRuntime, labels: Sequence[LabelEntry]) -> bool:
    """Whether one of them was received within a day, or about a payment that waits, or the ledger is behind."""
    if any(time.time() - label.received_at_s < PATIENCE_S for label in labels):
        return True
    entries = [names.transaction_entry(label.transaction_id or "") for label in labels]
    with runtime.client.pipeline(transaction=False) as pipe:
        for entry in entries:
            pipe.hmget(names.inbox_key(entry), "task", "dead_ms")
        pipe.time()
        pipe.xrange(names.JOURNAL, count=1)
        pipe.xrange(names.JOURNAL_BULK, count=1)
        answers: list[Any] = pipe.execute()
    *waiting, (now_s, _), journal, bulk = answers
    is_behind = max(entry_age_s(journal, now_s), entry_age_s(bulk, now_s)) >= BEHIND_S
    return is_behind or any(task and not dead for task, dead in waiting)
