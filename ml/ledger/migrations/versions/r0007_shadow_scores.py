"""Scores of the model that did not decide."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shadow_scores",
        sa.Column("transaction_id", sa.String, primary_key=True),
        sa.Column("model_digest", sa.String, primary_key=True),
        sa.Column("model_version", sa.String, nullable=False),
        sa.Column("fraud_probability", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_shadow_scores_model_digest", "shadow_scores", ["model_digest"])


def downgrade() -> None:
    op.drop_table("shadow_scores")
