"""Scores by day, for advice on thresholds; every day is due again, so that it gets them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "score_days",
        sa.Column("day", sa.String, primary_key=True),
        sa.Column("model_version", sa.String, primary_key=True),
        sa.Column("bins", sa.JSON, nullable=False),
        sa.Column("sums", sa.JSON, nullable=False),
    )
    days = sa.table("quality_days", sa.column("is_due", sa.Boolean))
    op.execute(sa.update(days).values(is_due=True))


def downgrade() -> None:
    op.drop_table("score_days")
