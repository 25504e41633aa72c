"""What the views work with, built once by the app factory and passed to each blueprint."""

from __future__ import annotations

from dataclasses import dataclass

from config.schema.model import Schema
from config.settings import Settings
from web.metrics import WebMetrics
from web.ports import DecisionLedger, ModelOperations, ScoringGateway, TransactionValidator


@dataclass(frozen=True, slots=True)
class Services:
    """The dependencies of the web side."""

    settings: Settings
    gateway: ScoringGateway
    ledger: DecisionLedger
    models: ModelOperations
    schema: Schema
    validator: TransactionValidator
    metrics: WebMetrics
