"""Which tenant a decision belongs to. What is there already belongs to the default tenant."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_OF_OTHER_TENANTS = sa.text("tenant <> 'default'")


def upgrade() -> None:
    # With a constant default neither database rewrites the table.
    op.add_column("decisions", sa.Column("tenant", sa.String, nullable=False, server_default="default"))
    op.create_index(
        "ix_decisions_tenant",
        "decisions",
        ["tenant", "id"],
        sqlite_where=_OF_OTHER_TENANTS,
        postgresql_where=_OF_OTHER_TENANTS,
    )


def downgrade() -> None:
    op.drop_index("ix_decisions_tenant", "decisions")
    op.drop_column("decisions", "tenant")
