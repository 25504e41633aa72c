"""The review queue as the ledger has it: decisions to review that no label has settled yet."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, get_args

import msgspec
from sqlalchemy import ColumnElement, Engine, exists, func, select

from ml.ledger.columns import UtcDateTime
from ml.ledger.engine import reading
from ml.ledger.read import of_tenant
from ml.ledger.records import StoredDecision
from ml.ledger.rows import stored_decision
from ml.ledger.tables import decisions, labels

ReviewOrder = Literal["loss", "age"]
REVIEW_ORDERS: Final[tuple[ReviewOrder, ...]] = get_args(ReviewOrder)
PAGE_LIMIT: Final = 500

_EXPECTED_LOSS = decisions.c.fraud_probability * func.coalesce(decisions.c.amount, 0.0)


class ReviewFigures(msgspec.Struct, frozen=True):
    """`open`: cases that wait. `oldest_at`: when the oldest of them was scored. `done`: labels of reviewers."""

    open: int
    oldest_at: datetime | None
    done: int


class ReviewBook:
    """Reads the review queue. Every method raises LedgerUnavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def open(self, order: ReviewOrder, *, limit: int, tenant: str, after: int | None = None) -> list[StoredDecision]:
        """At most `limit` (1 to 500) open cases of a tenant: those that may cost most first, or the oldest.

        `after`: the ledger's id of a decision; only cases that come after it in this order, whether it is still open or
        not. None of them when the tenant has no such decision.
        """
        first = (_EXPECTED_LOSS.desc(), decisions.c.id) if order == "loss" else (decisions.c.id,)
        query = select(decisions).where(_is_open(), *of_tenant(tenant)).order_by(*first)
        query = query.limit(max(1, min(limit, PAGE_LIMIT)))
        if after is not None:
            query = query.where(_comes_after(order, after, tenant))
        with reading(self._engine) as connection:
            return [stored_decision(row) for row in connection.execute(query).mappings()]

    def figures(self, *, done_since: datetime, tenant: str) -> ReviewFigures:
        """How many of a tenant's cases wait and since when, and how many reviewers have labelled since a moment."""
        is_theirs = list(of_tenant(tenant))
        waiting = select(func.count(), func.min(decisions.c.scored_at, type_=UtcDateTime)).where(_is_open(), *is_theirs)
        done = (
            select(func.count())
            .join(decisions, decisions.c.decision_id == labels.c.decision_id)
            .where(labels.c.source == "manual_review", labels.c.received_at >= done_since, *is_theirs)
        )
        with reading(self._engine) as connection:
            count, oldest_at = connection.execute(waiting).one()
            return ReviewFigures(count, oldest_at, connection.execute(done).scalar_one())


def _comes_after(order: ReviewOrder, row_id: int, tenant: str) -> ColumnElement[bool]:
    """Further down than this decision of theirs. The database compares its own number: one that was sent may be
    rounded.
    """
    if order == "age":
        return decisions.c.id > row_id
    last = decisions.alias()
    its_loss = func.coalesce(last.c.amount, 0.0) * last.c.fraud_probability
    loss = select(its_loss).where(last.c.id == row_id, last.c.tenant == tenant).scalar_subquery()
    return (loss > _EXPECTED_LOSS) | ((loss == _EXPECTED_LOSS) & (decisions.c.id > row_id))


def _is_open() -> ColumnElement[bool]:
    """A decision to review without any label, whoever the label came from."""
    is_labelled = exists().where(labels.c.decision_id == decisions.c.decision_id)
    return (decisions.c.action == "review") & ~is_labelled
