"""Drift reports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ml.ledger.columns import BigId, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "drift_reports",
        sa.Column("id", BigId, primary_key=True, autoincrement=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("model_version", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("has_asked", sa.Boolean, nullable=False),
        sa.Column("report", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("drift_reports")
