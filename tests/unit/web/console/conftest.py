"""A browser at a console that has something to decide."""

from __future__ import annotations

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.contracts import Decision, Reason
from tests.unit.web.console_browser import SECRET, visit
from tests.web_app import decide_by_amount
from web.memory_gateway import MemoryGateway
from web.ports.transactions import Transaction


def review_mid(transaction: Transaction, transaction_id: str, explain: bool) -> Decision:
    """From 100 to 1,000 a person decides."""
    decision = decide_by_amount(transaction, transaction_id, explain)
    if not 100 <= transaction.values[0] <= 1000:
        return decision
    reasons = [Reason("A", "amount", "raises", 2.0, "much"), Reason("H", "hour", "lowers", -1.0, "by day")]
    return msgspec.structs.replace(decision, action="review", fraud_probability=0.5, reasons=reasons)


@pytest.fixture
def gateway(gateway: MemoryGateway) -> MemoryGateway:
    gateway.decide = review_mid
    return gateway


@pytest.fixture
def client(app: Flask, gateway: MemoryGateway) -> FlaskClient:
    """A browser with a visit behind it."""
    return visit(app, SECRET)
