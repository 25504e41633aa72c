"""Alembic's directory. `ml.ledger.migrate` runs it; new revisions go to `versions/`, one file each."""
