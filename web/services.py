"""What the views work with, built once by the app factory and passed to each blueprint."""

from __future__ import annotations

from dataclasses import dataclass, field

from config.schema.model import Schema
from config.settings import Settings
from web.auth.access import Access
from web.degradation import Degradation
from web.metrics import WebMetrics
from web.ports.batches import BatchGateway
from web.ports.gateway import ScoringGateway
from web.ports.idempotency import IdempotencyStore
from web.ports.ledger import DecisionLedger
from web.ports.models import ModelOperations
from web.ports.transactions import TransactionValidator
from web.slots import TransferSlots


@dataclass(frozen=True, slots=True)
class Services:
    """The dependencies of the web side."""

    settings: Settings
    gateway: ScoringGateway
    batches: BatchGateway
    idempotency: IdempotencyStore
    ledger: DecisionLedger
    models: ModelOperations
    schema: Schema
    validator: TransactionValidator
    access: Access
    metrics: WebMetrics
    bodies: TransferSlots
    uploads: TransferSlots
    downloads: TransferSlots
    degradation: Degradation = field(default_factory=Degradation)
