"""An app in memory with what one tenant left there: decisions, a payment on its way, a label, a finished batch."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask import Flask

from config.contracts import Decision
from config.queue.batches import BatchRecord
from config.schema.model import Schema
from config.schema.validate import Validator
from config.settings import Settings
from tests.batch_paths import BatchPaths
from tests.unit.web.console_browser import SECRET, visit
from tests.web_app import JSON, PAYMENT, build_app, decide_by_amount
from tests.web_batches import NDJSON, decided
from web.auth.principal import SCOPES, Principal, remember_principal
from web.console.visitor import TOKEN_HEADER, Visitor
from web.memory_batches import MemoryBatches, MemoryIdempotency
from web.memory_gateway import MemoryGateway
from web.ports.transactions import Transaction

SENT = {**PAYMENT, "account_id": "acc-1"}
UPLOAD = b'{"amount": 1}\n'
KEY = {"Idempotency-Key": "k-1"}


@dataclass(frozen=True)
class Site:
    """`ask(tenant, method, path, ...)` is a request of a key of that tenant, with every scope there is but `admin`."""

    app: Flask
    gateway: MemoryGateway
    blobs: Path
    owner: str

    def ask(self, tenant: str, method: str, path: str, *, body: Any = None, **sent: Any) -> Any:
        environ: dict[str, Any] = {}
        scopes = frozenset(SCOPES) - {"admin"}
        remember_principal(environ, Principal("shop", tenant, scopes, credential="k1"))
        if body is not None:
            sent |= {"data": json.dumps(body), "content_type": JSON}
        if path.startswith("/console"):
            sent.setdefault("headers", {TOKEN_HEADER: Visitor(SECRET).token, "Accept": JSON})
        return visit(self.app).open(path, method=method, environ_overrides=environ, **sent)

    def predict(self, tenant: str, transaction_id: str, *, headers: Any = None, **changed: Any) -> Any:
        body = {**SENT, "transaction_id": transaction_id, **changed}
        return self.ask(tenant, "POST", "/predict", body=body, headers=headers)

    def upload(self, tenant: str) -> Any:
        return self.ask(tenant, "POST", "/batches", data=UPLOAD, content_type=NDJSON, headers=KEY)


@dataclass(frozen=True)
class Made:
    """What the owner made: ids as the owner knows them."""

    decided: str
    labelled: str
    waiting: str
    decision_id: str
    batch_id: str


def to_review(transaction: Transaction, transaction_id: str, explain: bool) -> Decision:
    decision = decide_by_amount(transaction, transaction_id, explain)
    return msgspec.structs.replace(decision, action="review", is_fraud=False)


@pytest.fixture(params=["acme", "default"])
def owner(request: pytest.FixtureRequest) -> str:
    """Whose the things are that others ask for."""
    return str(request.param)


@pytest.fixture(scope="session")
def whole_site(
    schema: Schema, validator: Validator, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Flask, MemoryGateway, Path]:
    """One app for the session; `site` finds it empty."""
    directory = tmp_path_factory.mktemp("tenants")
    gateway = MemoryGateway(to_review)
    settings = Settings(data_dir=directory, blob_dir=directory / "blobs", metrics_cache_s=0)
    return build_app(settings, gateway, schema, validator), gateway, directory / "blobs"


@pytest.fixture
def site(whole_site: tuple[Flask, MemoryGateway, Path], owner: str) -> Site:
    app, gateway, blobs = whole_site
    batches: MemoryBatches = app.extensions["tollgate"].batches
    MemoryGateway.__init__(gateway, to_review)
    MemoryIdempotency.__init__(batches.idempotency)
    MemoryBatches.__init__(batches, batches.idempotency)
    return Site(app, gateway, blobs, owner)


@pytest.fixture
def made(site: Site) -> Made:
    decision = site.predict(site.owner, "t-1").json
    assert site.predict(site.owner, "t-2", amount=20).status_code == 200
    assert site.predict(site.owner, "t-late", headers={"Prefer": "respond-async"}).status_code == 202
    label = {"transaction_id": "t-2", "is_fraud": True, "source": "manual_review", "label_id": "l-1"}
    assert site.ask(site.owner, "POST", "/feedback", body=label).json["label_id"] == "l-1"
    batch_id = finish_batch(site, site.upload(site.owner).json["id"]).batch_id
    return Made("t-1", "t-2", "t-late", decision["decision_id"], batch_id)


def finish_batch(site: Site, batch_id: str) -> BatchRecord:
    batches: MemoryBatches = site.app.extensions["tollgate"].batches
    files = BatchPaths.of(site.blobs, batch_id)
    for path, content in ((files.results(0), decided(1, "t-9")), (files.errors(0), b'{"row":2}\n')):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    changed = {"status": "completed", "total": 2, "completed": 1, "failed": 1, "chunks": 1, "ended_ms": 1}
    batches.records[batch_id] = replace(batches.records[batch_id], **changed)
    return batches.records[batch_id]
