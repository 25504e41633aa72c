"""The ledger: every decision and label, in SQLite or PostgreSQL. No numpy: the web process imports it."""

from ml.ledger.model_events import ModelEvent
from ml.ledger.records import DecisionFilter, LabelRecord, StoredDecision, StoredLabel
from ml.ledger.repository import Ledger

__all__ = ["DecisionFilter", "LabelRecord", "Ledger", "ModelEvent", "StoredDecision", "StoredLabel"]
