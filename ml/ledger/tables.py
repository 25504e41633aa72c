"""The ledger's tables. `migrations/` makes them; a test holds the two equal on both databases.

No foreign keys: a label may arrive before the journal has brought its decision, and is taken all the same.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    column,
    table,
    text,
)

from ml.ledger.columns import BigId, UtcDateTime

metadata = MetaData()
_IS_REVIEW = text("action = 'review'")
_OF_OTHER_TENANTS = text("tenant <> 'default'")
BLOCK = text("(id >> 16)")
"""The block of 65,536 rows that a decision is in, as its index says it.

Digests are as good as random. Sorted over the whole table, each new one dirties a page of its own: half of what a batch
wrote to the disk. Sorted within the newest block only, they stay in some hundred pages, and who looks for one asks each
block.
"""

decisions = Table(
    "decisions",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("transaction_id", String, nullable=False),
    Column("decision_id", String, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("digest", String, nullable=False),
    Column("schema_digest", String, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("event_at", UtcDateTime, nullable=False),
    Column("event_time_s", Double, nullable=False),
    Column("scored_at", UtcDateTime, nullable=False),
    Column("amount", Double),
    Column("fraud_probability", Double, nullable=False),
    Column("is_fraud", Boolean, nullable=False),
    Column("risk_score", Integer, nullable=False),
    Column("risk_level", String, nullable=False),
    Column("action", String, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("model_version", String, nullable=False),
    Column("model_digest", String, nullable=False),
    Column("degraded", Boolean, nullable=False),
    Column("sent_values", JSON, nullable=False),
    Column("derived_values", JSON, nullable=False),
    Column("features", LargeBinary, nullable=False),
    Column("client", String, nullable=False),
    Column("propensity", Double, nullable=False, server_default="1"),
    Column("tenant", String, nullable=False, server_default="default"),
    UniqueConstraint("transaction_id", name="uq_decisions_transaction_id"),
    UniqueConstraint("decision_id", name="uq_decisions_decision_id"),
    Index("ix_decisions_block_digest", BLOCK, "digest"),
    Index("ix_decisions_scored_at", "scored_at"),
    Index("ix_decisions_sequence", "sequence"),
    Index("ix_decisions_event_at", "event_at", "id"),
    Index("ix_decisions_review", "id", sqlite_where=_IS_REVIEW, postgresql_where=_IS_REVIEW),
    Index("ix_decisions_tenant", "tenant", "id", sqlite_where=_OF_OTHER_TENANTS, postgresql_where=_OF_OTHER_TENANTS),
)
"""One row per decided transaction. `event_time_s` is the exact event time (replay needs every bit of it).

`transaction_id` as it is kept, with its tenant (`config.tenants`); `tenant` says the same, to list by.
"""

decision_entities = Table(
    "decision_entities",
    metadata,
    Column("entity", String, primary_key=True),
    Column("value", String, primary_key=True),
    Column("event_time_s", Double, primary_key=True),
    Column("transaction_id", String, primary_key=True),
    sqlite_with_rowid=False,
)
"""Which decisions belong to an account (card, merchant): one row per entity of a decision, in event order."""

labels = Table(
    "labels",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("label_id", String, nullable=False),
    Column("decision_id", String),
    Column("transaction_id", String),
    Column("is_fraud", Boolean, nullable=False),
    Column("source", String, nullable=False),
    Column("reason_code", String),
    Column("amount", Double),
    Column("known_at", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("digest", String),
    Column("schema_digest", String),
    Column("sent_values", JSON(none_as_null=True)),
    Column("client", String, nullable=False),
    UniqueConstraint("label_id", name="uq_labels_label_id"),
    Index("ix_labels_decision_id_known_at", "decision_id", "known_at"),
    Index("ix_labels_digest", "digest"),
    Index("ix_labels_received_at", "received_at"),
    Index("ix_labels_sequence", "sequence"),
)
"""Every label received; none is overwritten. Without a decision, `sent_values` is what was labelled."""

shadow_scores = Table(
    "shadow_scores",
    metadata,
    Column("transaction_id", String, primary_key=True),
    Column("model_digest", String, primary_key=True),
    Column("model_version", String, nullable=False),
    Column("fraud_probability", Double, nullable=False),
    Index("ix_shadow_scores_model_digest", "model_digest"),
    sqlite_with_rowid=False,
)
"""What a model said of a transaction that another one decided."""

schemas = Table(
    "schemas",
    metadata,
    Column("digest", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("field_names", JSON, nullable=False),
    Column("entities", JSON, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
)
"""The schemas that decisions were made under: without the names, `sent_values` could not be read later."""

quality_days = Table(
    "quality_days",
    metadata,
    Column("day", String, primary_key=True),
    Column("is_due", Boolean, nullable=False),
    Column("rolled_at", UtcDateTime),
)
"""The days that decisions happened on, and whether something changed since their cells were made."""

quality_cells = Table(
    "quality_cells",
    metadata,
    Column("day", String, primary_key=True),
    Column("dimension", String, primary_key=True),
    Column("value", String, primary_key=True),
    Column("decisions", BigInteger, nullable=False),
    Column("labelled", BigInteger, nullable=False),
    Column("frauds", BigInteger, nullable=False),
    Column("fraud_amount", Double, nullable=False),
    Column("explored", BigInteger, nullable=False),
    Column("measures", JSON, nullable=False),
    Column("estimates", JSON(none_as_null=True)),
)
"""Live quality by day of event time, model version and segment: `ml.quality.cells.Cell`."""

score_days = Table(
    "score_days",
    metadata,
    Column("day", String, primary_key=True),
    Column("model_version", String, primary_key=True),
    Column("bins", JSON, nullable=False),
    Column("sums", JSON, nullable=False),
)
"""Sums over the decisions of a day and model by bins of their score: `ml.advisor.scores.DayScores`."""

quality_state = Table(
    "quality_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("decision_id", BigInteger, nullable=False),
    Column("label_id", BigInteger, nullable=False),
    Column("earlier_decision_id", BigInteger, nullable=False),
    Column("earlier_label_id", BigInteger, nullable=False),
    Column("rolled_at", UtcDateTime),
    Column("delay_s", Double),
    Column("is_delay_learned", Boolean),
    Column("delay_labels", Integer),
    Column("k", Integer),
)
"""One row: how far the roll-up has looked (row numbers of decisions and labels, at its last two looks)."""

drift_reports = Table(
    "drift_reports",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("model_version", String, nullable=False),
    Column("status", String, nullable=False),
    Column("has_asked", Boolean, nullable=False),
    Column("report", JSON, nullable=False),
)
"""The newest drift checks; `report` is a `ml.drift.report.DriftReport`."""

model_events = Table(
    "model_events",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", String, nullable=False),
    Column("action", String, nullable=False),
    Column("from_version", String),
    Column("to_version", String),
    Column("reasons", JSON, nullable=False),
    Index("ix_model_events_at", "at"),
)
"""Who made which model the champion, or did not, when and why. Rows are only ever added."""

audit_blocks = Table(
    "audit_blocks",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("previous", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("cause", String, nullable=False),
    Column("first_row", BigInteger, nullable=False),
    Column("last_row", BigInteger, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("newest_us", BigInteger, nullable=False),
    Column("sealed_at", UtcDateTime, nullable=False),
    Column("marks_digest", String, nullable=False),
    Column("marks", LargeBinary, nullable=False),
    Index("ix_audit_blocks_subject", "subject", "last_row"),
)
"""A chain of digests over `decisions` and `model_events`, stretch by stretch: see `ml.ledger.audit`."""

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String, primary_key=True),
    Column("digest", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("family", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("replaced_by", String),
)
"""API keys by their visible ids: `ml.ledger.key_book.StoredKey`. No row is ever deleted."""

current_labels = table(
    "current_labels",
    *(column(name, labels.c[name].type) for name in labels.c.keys()),  # noqa: SIM118 - not a dict
)
"""A view: of each decision, the label that was known last (of two known at once, the one received last)."""
