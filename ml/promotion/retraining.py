"""A challenger from the ledger: trained, published, told to MLflow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from config.settings import Settings
from ml.costs_in_force import costs_in_force
from ml.registry import StoredBundle
from ml.training.candidates import CANDIDATES, Candidate
from ml.training.served import ServedRows
from ml.training.tracking import log_missing_runs
from ml.training.train import TrainingOptions, train


def train_on(
    settings: Settings,
    rows: ServedRows,
    *,
    now: datetime,
    say: Callable[[str], None],
    candidates: Sequence[Candidate] = CANDIDATES,
) -> StoredBundle:
    """Train on matured rows and publish the bundle; MLflow has it as challenger when it is up.

    Raises:
        ModelRefused: too few matured labels, or a model that must not serve; nothing was published.
    """
    schema_text = settings.schema_file.read_text(encoding="utf-8-sig")
    options = TrainingOptions(
        label_delay_s=rows.label_delay_s,
        history_events=settings.history_events,
        candidates=candidates,
        costs=costs_in_force(settings, rows.spec.schema),
    )
    result = train(schema_text, rows, settings.model_dir, options, now=now, say=say)
    schema_digest = result.bundle.schema.digest
    log_missing_runs(settings, schema_digest)
    return StoredBundle(result.model_version, result.digest, result.directory.name, schema_digest)
