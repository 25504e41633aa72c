"""An index of the decisions to review: the queue is looked at every few seconds, and they are a few in a hundred."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_IS_REVIEW = sa.text("action = 'review'")


def upgrade() -> None:
    op.create_index("ix_decisions_review", "decisions", ["id"], sqlite_where=_IS_REVIEW, postgresql_where=_IS_REVIEW)


def downgrade() -> None:
    op.drop_index("ix_decisions_review", "decisions")
