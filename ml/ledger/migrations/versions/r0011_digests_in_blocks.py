"""Digests are indexed by block of rows: see `ml.ledger.tables.BLOCK`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_decisions_block_digest", "decisions", [sa.text("(id >> 16)"), "digest"])
    op.drop_index("ix_decisions_digest_received_at", "decisions")


def downgrade() -> None:
    op.create_index("ix_decisions_digest_received_at", "decisions", ["digest", "received_at"])
    op.drop_index("ix_decisions_block_digest", "decisions")
