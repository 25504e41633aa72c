"""The operations of the OpenAPI document: one entry per route, compared with the app's routes by a test."""

from __future__ import annotations

from typing import Any

from config.schema.model import Schema
from web.openapi_paths import batches, console, decisions, keys, models, operations, sign_in, transactions
from web.openapi_paths.security import secured


def paths(schema: Schema) -> dict[str, Any]:
    """Path -> method -> operation, each with the scopes that open it."""
    return secured(_paths(schema))


def _paths(schema: Schema) -> dict[str, Any]:
    return {
        "/predict": {"post": transactions.predict(schema)},
        "/predictions/{transaction_id}": {"get": transactions.poll()},
        "/batches": {"post": batches.submit_batch(), "get": batches.list_batches()},
        "/batches/{batch_id}": {"get": batches.batch(), "delete": batches.cancel_batch()},
        "/batches/{batch_id}/results": {"get": batches.batch_results()},
        "/batches/{batch_id}/errors": {"get": batches.batch_errors()},
        "/feedback": {"post": transactions.feedback()},
        "/decisions": {"get": decisions.decisions()},
        "/decisions/{decision_id}": {"get": decisions.decision()},
        "/reviews": {"get": decisions.reviews()},
        "/quality": {"get": decisions.quality()},
        "/thresholds": {"get": decisions.thresholds()},
        "/models": {"get": models.models()},
        **decisions.drift_paths(),
        "/reload-model": {"post": models.reload()},
        **operations.dead_letter_paths(),
        **models.model_job_paths(),
        **operations.operation_paths(),
        **operations.page_paths(),
        **keys.key_paths(),
        **console.console_paths(),
        **sign_in.sign_in_paths(),
    }
