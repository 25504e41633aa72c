"""The chain of digests over the audit trail and the decisions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ml.ledger.columns import BigId, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_blocks",
        sa.Column("id", BigId, primary_key=True, autoincrement=True),
        sa.Column("previous", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("cause", sa.String, nullable=False),
        sa.Column("first_row", sa.BigInteger, nullable=False),
        sa.Column("last_row", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("newest_us", sa.BigInteger, nullable=False),
        sa.Column("sealed_at", UtcDateTime, nullable=False),
        sa.Column("marks_digest", sa.String, nullable=False),
        sa.Column("marks", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_audit_blocks_subject", "audit_blocks", ["subject", "last_row"])


def downgrade() -> None:
    op.drop_table("audit_blocks")
