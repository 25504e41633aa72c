"""The web side around a gateway in memory, for a real HTTP server: `granian --factory tests.memory_wsgi:make_app`."""

from __future__ import annotations

from flask import Flask

from config.schema.load import load_schema
from config.schema.validate import compile_validator
from config.settings import load_settings
from tests.web_app import build_app, decide_by_amount, serving
from web.memory_gateway import MemoryGateway


def make_app() -> Flask:
    """Settings come from the environment, as in production."""
    settings = load_settings()
    schema = load_schema(settings.schema_file)
    gateway = MemoryGateway(decide_by_amount, workers=[serving("score-1")])
    app = build_app(settings, gateway, schema, compile_validator(schema))
    app.extensions["tollgate.slow_clients"].watch()
    return app
