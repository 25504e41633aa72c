"""The review queue: cases from the ledger, less those that were settled a moment ago, with who holds them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from config.errors import BrokerUnavailable, ReviewHeld, UnknownId
from ml.ledger.review_book import ReviewOrder
from web.identifiers import new_id
from web.ports.gateway import ScoringGateway
from web.ports.labels import Label, LabelOutcome
from web.ports.ledger import DecisionLedger, StoredDecision
from web.review_desk import SETTLED
from web.shapes.reviews import ReviewCase, ReviewQueue
from web.tenancy import gateway_for
from web.views.decisions import decision_record


class Reviews:
    """What views ask about the review queue of one tenant and change in it."""

    def __init__(self, ledger: DecisionLedger, gateway: ScoringGateway, tenant: str) -> None:
        self._ledger = ledger
        self._gateway = gateway
        self._tenant = tenant

    def queue(
        self, order: ReviewOrder, *, limit: int, now: datetime, reviewer: str = "", after: int | None = None
    ) -> ReviewQueue:
        """The first cases that are open, or those after a decision. `reviewer`: whose own leases do not count as held.

        Raises LedgerUnavailable. Without the broker nobody is known to hold anything: the queue can be read all the
        same, and a claim fails.
        """
        found = self._ledger.open_reviews(order, limit=limit, tenant=self._tenant, after=after)
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        figures = self._ledger.review_figures(done_since=today, tenant=self._tenant)
        holders = self._holders(found)
        cases = [_case(one, holder, reviewer) for one, holder in zip(found, holders, strict=True) if holder != SETTLED]
        settled = len(found) - len(cases)
        return ReviewQueue(
            open=figures.open - settled,
            oldest_at=figures.oldest_at.isoformat() if figures.oldest_at else None,
            done_today=figures.done + settled,
            order=order,
            reviews=cases,
            next=f"/reviews?order={order}&limit={limit}&after={found[-1].id}" if len(found) == limit else None,
        )

    def label(
        self, decision_id: str, *, is_fraud: bool, reviewer: str, now: datetime, client: str = ""
    ) -> LabelOutcome:
        """Say what a payment really was, on the same path as POST /feedback, with the source manual_review.

        `client`: the reviewer's name, where reviewers sign in.

        Raises: ReviewHeld (another reviewer looks at it), UnknownId, Overloaded, BrokerUnavailable, LedgerUnavailable.
        """
        self._require_own(decision_id)
        [holder] = self._gateway.reviews.holders([decision_id])
        if holder not in (None, reviewer, SETTLED):
            raise ReviewHeld("another reviewer is looking at this case")
        label = Label(
            label_id=new_id(),
            is_fraud=is_fraud,
            source="manual_review",
            known_at=now,
            decision_id=decision_id,
            client=client,
        )
        outcome = gateway_for(self._gateway, self._tenant).record_label(label)
        self._gateway.reviews.settle(decision_id, reviewer)
        return outcome

    def claim(self, decision_id: str, *, reviewer: str) -> None:
        """Hold a case for a while. Raises ReviewHeld, UnknownId, BrokerUnavailable, LedgerUnavailable."""
        self._require_own(decision_id)
        if not self._gateway.reviews.claim(decision_id, reviewer):
            raise ReviewHeld("another reviewer is looking at this case, or has just labelled it")

    def release(self, decision_id: str, *, reviewer: str) -> None:
        """Let go of a case. Raises UnknownId, BrokerUnavailable, LedgerUnavailable."""
        self._require_own(decision_id)
        self._gateway.reviews.release(decision_id, reviewer)

    def _require_own(self, decision_id: str) -> None:
        """Pass when the case is the tenant's: leases go by the decision's id, which does not say whose it is."""
        if self._ledger.find_decision(decision_id, tenant=self._tenant) is None:
            raise UnknownId(f"the ledger has no decision {decision_id!r}")

    def _holders(self, found: Sequence[StoredDecision]) -> Sequence[str | None]:
        try:
            return self._gateway.reviews.holders([one.decision["decision_id"] for one in found])
        except BrokerUnavailable:
            return [None] * len(found)


def _case(stored: StoredDecision, holder: str | None, reviewer: str) -> ReviewCase:
    return ReviewCase(
        expected_loss=stored.decision["fraud_probability"] * (stored.amount or 0.0),
        is_held=holder is not None and holder != reviewer,
        case=decision_record(stored),
    )
