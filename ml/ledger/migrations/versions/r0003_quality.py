"""Live quality by day, the index that reads the decisions of a day, and the chance that an action was taken with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ml.ledger.columns import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("decisions", sa.Column("propensity", sa.Double, nullable=False, server_default="1"))
    op.create_index("ix_decisions_event_at", "decisions", ["event_at", "id"])
    op.create_table(
        "quality_days",
        sa.Column("day", sa.String, primary_key=True),
        sa.Column("is_due", sa.Boolean, nullable=False),
        sa.Column("rolled_at", UtcDateTime),
    )
    op.create_table(
        "quality_cells",
        sa.Column("day", sa.String, primary_key=True),
        sa.Column("dimension", sa.String, primary_key=True),
        sa.Column("value", sa.String, primary_key=True),
        sa.Column("decisions", sa.BigInteger, nullable=False),
        sa.Column("labelled", sa.BigInteger, nullable=False),
        sa.Column("frauds", sa.BigInteger, nullable=False),
        sa.Column("fraud_amount", sa.Double, nullable=False),
        sa.Column("explored", sa.BigInteger, nullable=False),
        sa.Column("measures", sa.JSON, nullable=False),
        sa.Column("estimates", sa.JSON(none_as_null=True)),
    )
    _create_state()


def _create_state() -> None:
    op.create_table(
        "quality_state",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("decision_id", sa.BigInteger, nullable=False),
        sa.Column("label_id", sa.BigInteger, nullable=False),
        sa.Column("earlier_decision_id", sa.BigInteger, nullable=False),
        sa.Column("earlier_label_id", sa.BigInteger, nullable=False),
        sa.Column("rolled_at", UtcDateTime),
        sa.Column("delay_s", sa.Double),
        sa.Column("is_delay_learned", sa.Boolean),
        sa.Column("delay_labels", sa.Integer),
        sa.Column("k", sa.Integer),
    )


def downgrade() -> None:
    for table in ("quality_state", "quality_cells", "quality_days"):
        op.drop_table(table)
    op.drop_index("ix_decisions_event_at", "decisions")
    op.drop_column("decisions", "propensity")
