"""The audit trail of models."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ml.ledger.columns import BigId, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "model_events",
        sa.Column("id", BigId, primary_key=True, autoincrement=True),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("from_version", sa.String),
        sa.Column("to_version", sa.String),
        sa.Column("reasons", sa.JSON, nullable=False),
    )
    op.create_index("ix_model_events_at", "model_events", ["at"])


def downgrade() -> None:
    op.drop_table("model_events")
