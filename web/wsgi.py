"""The process entry: `python -m web.server --interface wsgi --factory web.wsgi:make_app`.

The only module of the web side that reads settings and opens connections.
"""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask

from config.collector import settle
from config.logs import configure_logs
from config.schema.load import load_schema
from config.schema.validate import compile_validator
from config.settings import load_settings
from config.tracing import configure_tracing
from ml.ledger.repository import Ledger
from ml.policy_in_force import policy_in_force
from web.app import create_app
from web.auth.access import keep_fresh, make_access
from web.auth.exposure import require_credentials, stored_keys
from web.auth.session_store import RedisSessionStore
from web.gateway import Gateway
from web.ledger_reader import LedgerReader
from web.limits.store import RedisLimitStore
from web.metrics import WebMetrics, own_directory
from web.model_operations import QueuedModelOperations


def make_app() -> Flask:
    """Build and start one web process from the environment. Raises SettingInvalid, SchemaInvalid."""
    settings = load_settings()
    configure_logs(settings, process="web")
    configure_tracing(settings, process="web")
    schema = load_schema(settings.schema_file)
    book = Ledger(settings.database_url, schema=schema)
    require_credentials(settings, lambda: stored_keys(book.keys), datetime.now(UTC))
    ledger = LedgerReader(book, schema)
    metrics = WebMetrics(own_directory(settings.data_dir / "metrics" / "web"))
    gateway = Gateway(settings, schema, ledger, observe=metrics.observe_answered_batch, requests=metrics.pulse)
    access = make_access(settings, book.keys, metrics, kept=RedisSessionStore(settings))
    gateway.start()
    app = create_app(
        settings,
        gateway=gateway,
        batches=gateway.batches,
        idempotency=gateway.idempotency,
        ledger=ledger,
        models=QueuedModelOperations(settings),
        schema=schema,
        validator=compile_validator(schema, settings.card_numbers),
        access=access,
        metrics=metrics,
        policy=policy_in_force(settings, schema),
        limits=RedisLimitStore(settings),
    )
    keep_fresh(access, settings.auth_refresh_s)
    app.extensions["tollgate.slow_clients"].watch()
    settle()
    return app
