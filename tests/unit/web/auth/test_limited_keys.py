"""Where keys are asked for, budgets are the keys' own, and wrong keys have one by address."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from config.schema.model import Schema
from config.schema.validate import Validator
from config.settings import Settings
from tests.web_app import PAYMENT, assert_problem, build_app, decide_by_amount
from web.auth.access import Access
from web.memory_gateway import MemoryGateway

ADMIN_KEY = "a-key-of-this-test-with-32-characters"
MakeKey = Callable[..., str]


@pytest.fixture
def limited(access: Access, schema: Schema, validator: Validator, tmp_path: Path) -> FlaskClient:
    """A client of an app with small budgets, which are on since it asks for keys."""
    settings = Settings(
        data_dir=tmp_path,
        auth="required",
        admin_key=ADMIN_KEY,
        limit_score="2/minute",
        limit_operations="2/minute",
        limit_failed_credentials="3/minute",
    )
    return build_app(settings, MemoryGateway(decide_by_amount), schema, validator, access=access).test_client()


def predict(client: FlaskClient, key: str) -> Any:
    return client.post("/predict", json=PAYMENT, headers={"Authorization": f"Bearer {key}"})


def test_each_key_has_budgets_of_its_own(limited: FlaskClient, make_key: MakeKey) -> None:
    first, second = make_key("score", "read"), make_key("score", "read")

    assert [predict(limited, first).status_code for _ in range(3)] == [200, 200, 429]
    assert predict(limited, second).headers["RateLimit-Remaining"] == "1"
    listed = [limited.get("/models", headers={"Authorization": f"Bearer {first}"}).status_code for _ in range(3)]
    assert listed == [200, 200, 429]


def test_who_is_not_let_in_draws_on_the_budget_for_credentials_alone(limited: FlaskClient, make_key: MakeKey) -> None:
    key = make_key("score")

    refused = [predict(limited, "tg_wrong").status_code for _ in range(4)]
    assert refused == [401, 401, 401, 429]
    problem = assert_problem(limited.get("/models"), 429, "rate_limited")
    assert problem["budget"] == "credentials"
    assert [predict(limited, key).status_code for _ in range(2)] == [200, 200]
