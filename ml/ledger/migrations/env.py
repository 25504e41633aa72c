"""What Alembic runs: the revisions, on the connection and in the transaction of `ml.ledger.migrate`."""

from __future__ import annotations

from alembic import context

from ml.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
