"""The model that a fresh installation starts with, trained on simulated payments in well under a minute."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import numpy as np

from config.errors import ModelRefused
from config.schema.load import load_schema
from config.schema.model import Schema
from config.settings import Settings
from ml.costs_in_force import costs_in_force
from ml.registry import StoredBundle
from ml.simulator import simulate_payments
from ml.training.candidates import QUICK_CANDIDATES
from ml.training.data import label_frame
from ml.training.selection import Say
from ml.training.train import TrainingOptions, train

ROWS: Final = 100_000
DAYS: Final = 90.0
SEED: Final = 7
SIMULATED: Final = frozenset(
    {"transaction_id", "account_id", "merchant_id", "timestamp", "currency", "amount", "merchant_category"}
)


def can_simulate(schema: Schema) -> bool:
    """Whether simulated payments have everything that this schema requires."""
    required = {field.name for field in schema.fields if field.required and field.derived is None}
    return required <= SIMULATED and schema.roles.amount == "amount" and schema.roles.label is not None


def train_first_model(settings: Settings, say: Say) -> StoredBundle:
    """Train on simulated payments and publish the bundle; it is not promoted and MLflow is not waited for.

    Raises:
        ModelRefused: the schema in the settings is about something else than simulated payments.
    """
    schema = load_schema(settings.schema_file)
    schema_text = settings.schema_file.read_text(encoding="utf-8-sig")
    if not can_simulate(schema):
        raise ModelRefused(
            f"there is no model for the schema {schema.name!r} that may serve by itself, and it is not about payments "
            f"that can be simulated; train one first: tollgate train --schema {settings.schema_file} --data FILE, or "
            f"promote one that was held back: tollgate promote MODEL --schema {settings.schema_file}"
        )
    say("simulating payments")
    frame = simulate_payments(schema, ROWS, np.random.default_rng(SEED), days=DAYS)
    options = TrainingOptions(
        label_delay_s=float(settings.label_delay_s),
        history_events=settings.history_events,
        candidates=QUICK_CANDIDATES,
        seed=SEED,
        costs=costs_in_force(settings, schema),
        is_simulated=True,
    )
    data = label_frame(frame, schema, "the simulation")
    result = train(schema_text, data, settings.model_dir, options, now=datetime.now(UTC), say=say)
    return StoredBundle(result.model_version, result.digest, result.directory.name, schema.digest)
