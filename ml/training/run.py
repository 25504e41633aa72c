"""Training as the command line and beat start it: read, train, tell MLflow, promote when it is the first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import redis

from config.contracts import ChampionPointer
from config.queue.connections import make_redis
from config.schema.load import load_schema
from config.settings import Settings
from ml.costs_in_force import costs_in_force
from ml.registry import StoredBundle, is_for_schema, promote, read_champion, stored_champion
from ml.training.data import LabelledData, read_data
from ml.training.selection import Say
from ml.training.tracking import log_missing_runs, mark_champion
from ml.training.train import TrainingOptions, TrainingResult, train

REDIS_TIMEOUT_S = 1.0
Standing = Literal["champion", "challenger", "other schema", "held back"]


@dataclass(frozen=True, slots=True)
class Placement:
    """What became of a new model.

    `standing`: it is the champion, waits as a challenger of `champion`, or is the first of its schema while
    `champion`, of another schema or store, serves: then starting Tollgate with the new schema makes it the
    champion. "held back": it would be the champion, but loses money, so a person has to promote it.
    `is_live`: whether Redis was there to be told.
    """

    standing: Standing
    champion: ChampionPointer | None
    is_live: bool


def train_file(settings: Settings, path: Path, *, seed: int, say: Say) -> TrainingResult:
    """Train on a labelled file for the schema in the settings and log it to MLflow.

    Raises:
        DataInvalid, SchemaInvalid, InvalidTransaction: the file or the schema has a mistake.
        ModelRefused: no model may serve; nothing was published.
    """
    schema = load_schema(settings.schema_file)
    data = read_data(path, schema)
    schema_text = settings.schema_file.read_text(encoding="utf-8-sig")
    options = TrainingOptions(
        label_delay_s=float(settings.label_delay_s),
        history_events=settings.history_events,
        seed=seed,
        costs=costs_in_force(settings, schema),
    )
    return train_data(settings, schema_text, data, options, say=say)


def train_data(
    settings: Settings, schema_text: str, data: LabelledData, options: TrainingOptions, *, say: Say
) -> TrainingResult:
    """Train on labelled data and log it to MLflow (a warning when MLflow is away)."""
    result = train(schema_text, data, settings.model_dir, options, now=datetime.now(UTC), say=say)
    say("telling MLflow")
    log_missing_runs(settings, result.bundle.schema.digest)
    return result


def place(settings: Settings, result: TrainingResult, *, may_promote: bool = True) -> Placement:
    """Promote a model that is the first of its schema, unless it loses money; any other waits as a challenger."""
    client: redis.Redis | None = make_redis(settings, timeout_s=REDIS_TIMEOUT_S)
    try:
        current = read_champion(client) if client else None
    except redis.RedisError:
        # Fails open: without Redis the durable copy beside the bundles decides, and the next start follows it.
        client, current = None, stored_champion(settings.model_dir)
    schema_digest = result.bundle.schema.digest
    if current is not None and is_for_schema(current, settings.model_dir, schema_digest):
        return Placement("challenger", current, client is not None)
    if current is not None and client is not None:
        return Placement("other schema", current, True)
    if not may_promote:
        return Placement("challenger", None, client is not None)
    if result.report["loses_money"]:
        return Placement("held back", None, client is not None)
    stored = StoredBundle(result.model_version, result.digest, result.directory.name, schema_digest)
    pointer = promote(client, settings.model_dir, stored)
    mark_champion(settings, result.model_version)
    return Placement("champion", pointer, client is not None)
