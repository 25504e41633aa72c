"""Decisions, their entities, labels, and the schemas they were made under."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ml.ledger.columns import BigId, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_CURRENT_LABELS = """
CREATE VIEW current_labels AS
SELECT l.* FROM labels AS l
WHERE l.decision_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM labels AS later
    WHERE later.decision_id = l.decision_id
      AND (later.known_at > l.known_at OR (later.known_at = l.known_at AND later.id > l.id))
)
"""


def upgrade() -> None:
    _create_decisions()
    op.create_table(
        "decision_entities",
        sa.Column("entity", sa.String, primary_key=True),
        sa.Column("value", sa.String, primary_key=True),
        sa.Column("event_time_s", sa.Double, primary_key=True),
        sa.Column("transaction_id", sa.String, primary_key=True),
        sqlite_with_rowid=False,
    )
    _create_labels()
    op.create_table(
        "schemas",
        sa.Column("digest", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("field_names", sa.JSON, nullable=False),
        sa.Column("entities", sa.JSON, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
    )
    op.execute(_CURRENT_LABELS)


def _create_decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", BigId, primary_key=True, autoincrement=True),
        sa.Column("transaction_id", sa.String, nullable=False),
        sa.Column("decision_id", sa.String, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("schema_digest", sa.String, nullable=False),
        sa.Column("received_at", UtcDateTime, nullable=False),
        sa.Column("event_at", UtcDateTime, nullable=False),
        sa.Column("event_time_s", sa.Double, nullable=False),
        sa.Column("scored_at", UtcDateTime, nullable=False),
        sa.Column("amount", sa.Double),
        sa.Column("fraud_probability", sa.Double, nullable=False),
        sa.Column("is_fraud", sa.Boolean, nullable=False),
        sa.Column("risk_score", sa.Integer, nullable=False),
        sa.Column("risk_level", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("model_version", sa.String, nullable=False),
        sa.Column("model_digest", sa.String, nullable=False),
        sa.Column("degraded", sa.Boolean, nullable=False),
        sa.Column("sent_values", sa.JSON, nullable=False),
        sa.Column("derived_values", sa.JSON, nullable=False),
        sa.Column("features", sa.LargeBinary, nullable=False),
        sa.Column("client", sa.String, nullable=False),
        sa.UniqueConstraint("transaction_id", name="uq_decisions_transaction_id"),
        sa.UniqueConstraint("decision_id", name="uq_decisions_decision_id"),
    )
    op.create_index("ix_decisions_digest_received_at", "decisions", ["digest", "received_at"])
    op.create_index("ix_decisions_scored_at", "decisions", ["scored_at"])
    op.create_index("ix_decisions_sequence", "decisions", ["sequence"])


def _create_labels() -> None:
    op.create_table(
        "labels",
        sa.Column("id", BigId, primary_key=True, autoincrement=True),
        sa.Column("label_id", sa.String, nullable=False),
        sa.Column("decision_id", sa.String),
        sa.Column("transaction_id", sa.String),
        sa.Column("is_fraud", sa.Boolean, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("reason_code", sa.String),
        sa.Column("amount", sa.Double),
        sa.Column("known_at", UtcDateTime, nullable=False),
        sa.Column("received_at", UtcDateTime, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String),
        sa.Column("schema_digest", sa.String),
        sa.Column("sent_values", sa.JSON(none_as_null=True)),
        sa.Column("client", sa.String, nullable=False),
        sa.UniqueConstraint("label_id", name="uq_labels_label_id"),
    )
    op.create_index("ix_labels_decision_id_known_at", "labels", ["decision_id", "known_at"])
    op.create_index("ix_labels_digest", "labels", ["digest"])
    op.create_index("ix_labels_received_at", "labels", ["received_at"])
    op.create_index("ix_labels_sequence", "labels", ["sequence"])


def downgrade() -> None:
    op.execute("DROP VIEW current_labels")
    for table in ("schemas", "labels", "decision_entities", "decisions"):
        op.drop_table(table)
