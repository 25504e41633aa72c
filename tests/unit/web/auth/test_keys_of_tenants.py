"""A key's tenant decides what its requests see: the door, the tenant's ids and the operator's routes together."""

from __future__ import annotations

from flask.testing import FlaskClient

from tests.unit.web.auth.conftest import MakeKey, bearer
from tests.web_app import PAYMENT, assert_problem
from web.auth.principal import TENANT_SCOPES
from web.memory_gateway import MemoryGateway

SENT = {**PAYMENT, "transaction_id": "t-1"}


def test_the_same_payment_by_keys_of_three_tenants_is_three_decisions(
    door: FlaskClient, make_key: MakeKey, gateway: MemoryGateway
) -> None:
    keys = {tenant: make_key(*TENANT_SCOPES, tenant=tenant) for tenant in ("default", "acme", "bolt")}

    decided = {tenant: door.post("/predict", json=SENT, headers=bearer(key)).json for tenant, key in keys.items()}

    assert len({one["decision_id"] for one in decided.values()}) == 3
    for tenant, key in keys.items():
        assert door.get("/predictions/t-1", headers=bearer(key)).json == decided[tenant]
        others = [one["decision_id"] for name, one in decided.items() if name != tenant]
        for decision_id in others:
            assert_problem(door.get(f"/decisions/{decision_id}", headers=bearer(key)), 404, "unknown_id")
    assert len(gateway.decided()) == 3


def test_two_keys_of_a_tenant_see_the_same(door: FlaskClient, make_key: MakeKey) -> None:
    one, other = make_key("score", tenant="acme"), make_key("read", tenant="acme")
    decided = door.post("/predict", json=SENT, headers=bearer(one)).json

    assert door.get("/decisions/t-1", headers=bearer(other)).json["decision"] == decided


def test_the_scope_read_of_a_tenant_does_not_open_what_speaks_of_the_whole_system(
    door: FlaskClient, make_key: MakeKey
) -> None:
    theirs, operators = make_key("read", tenant="acme"), make_key("read")
    for path in ("/metrics", "/quality", "/models", "/drift", "/thresholds", "/prometheus"):
        assert_problem(door.get(path, headers=bearer(theirs)), 403, "forbidden")
        assert door.get(path, headers=bearer(operators)).status_code != 403
