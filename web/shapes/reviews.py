"""The review queue."""

from __future__ import annotations

import msgspec

from ml.ledger.review_book import ReviewOrder
from web.shapes.decisions import DecisionRecord


class ReviewCase(msgspec.Struct, frozen=True):
    """One case of the queue. `expected_loss`: fraud probability times amount. `is_held`: somebody looks at it."""

    expected_loss: float
    is_held: bool
    case: DecisionRecord


class ReviewQueue(msgspec.Struct, frozen=True):
    """Decisions to review that nobody has labelled.

    `open`: how many there are. `oldest_at`: when the oldest was scored. `done_today`: labels of reviewers since
    midnight UTC. `reviews`: a page of them in the order asked for; `next`: where the one after it is, null at the end.
    """

    open: int
    oldest_at: str | None
    done_today: int
    order: ReviewOrder
    reviews: list[ReviewCase]
    next: str | None = None
