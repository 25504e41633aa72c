"""Keys over HTTP: made, listed, replaced, revoked, by administrators."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient

from tests.unit.web.auth.conftest import ADMIN_KEY, MakeKey, bearer
from tests.web_app import JSON, assert_problem
from web.auth.memory_keys import MemoryKeys

ADMIN = bearer(ADMIN_KEY)
WISH = {"name": "shop", "scopes": ["feedback", "score"]}


def test_a_key_that_was_made_works_at_once_and_is_never_shown_again(door: FlaskClient, store: MemoryKeys) -> None:
    made = door.post("/keys", json={**WISH, "expires_in_s": 3600}, headers=ADMIN)

    assert (made.status_code, made.headers["Cache-Control"]) == (201, "no-store")
    text, key = made.json["api_key"], made.json["key"]
    assert text.startswith(f"{key['prefix']}_")
    assert (key["scopes"], key["created_by"]) == (["score", "feedback"], "admin-key")
    assert door.get("/batches", headers=bearer(text)).status_code == 200
    listed = door.get("/keys", headers=ADMIN)
    assert key in listed.json["keys"]
    assert (listed.json["events"][0]["action"], listed.json["events"][0]["actor"]) == ("key_created", "admin-key")
    assert text.encode() not in listed.data
    assert store.keys[key["key_id"]].digest.encode() not in listed.data


def test_a_revoked_key_opens_nothing_from_then_on(door: FlaskClient, make_key: MakeKey) -> None:
    text = make_key("score")

    assert door.delete(f"/keys/{text[3:11]}", headers=ADMIN).status_code == 204

    assert "revoked" in assert_problem(door.get("/batches", headers=bearer(text)), 401, "unauthenticated")["detail"]
    assert_problem(door.delete(f"/keys/{text[3:11]}", headers=ADMIN), 404, "unknown_id")


def test_a_rotated_key_has_a_successor_of_the_same_rights(door: FlaskClient, make_key: MakeKey) -> None:
    text = make_key("score", tenant="acme")

    rotated = door.post(f"/keys/{text[3:11]}/rotate?overlap_s=0", headers=ADMIN)

    assert rotated.status_code == 201
    assert (rotated.json["key"]["scopes"], rotated.json["key"]["tenant"]) == (["score"], "acme")
    assert door.get("/batches", headers=bearer(rotated.json["api_key"])).status_code == 200
    assert "expired" in assert_problem(door.get("/batches", headers=bearer(text)), 401, "unauthenticated")["detail"]
    for unknown in (text[3:11], "nobody00"):
        assert_problem(door.post(f"/keys/{unknown}/rotate", headers=ADMIN), 404, "unknown_id")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "x"}, "invalid_request"),
        ({**WISH, "scopes": ["root"]}, "invalid_request"),
        ({**WISH, "scopes": []}, "invalid_request"),
        ({**WISH, "scopes": ["admin"], "tenant": "acme"}, "invalid_request"),
        ({**WISH, "tenant": "A B"}, "invalid_request"),
        ({**WISH, "expires_in_s": 0}, "invalid_request"),
        ({**WISH, "key_id": "mine"}, "invalid_request"),
        ({**WISH, "name": "4111 1111 1111 1111"}, "card_number"),
        ("{", "malformed_body"),
    ],
)
def test_a_key_that_must_not_be_is_a_422(door: FlaskClient, body: object, code: str) -> None:
    sent = {"data": body, "content_type": JSON} if isinstance(body, str) else {"json": body}

    assert_problem(door.post("/keys", headers=ADMIN, **sent), 422, code)


def test_only_an_administrator_makes_keys(door: FlaskClient, make_key: MakeKey, store: MemoryKeys) -> None:
    before = len(store.keys) + 1

    key = make_key("score", "feedback", "read", "review", "operate", "metrics")

    assert_problem(door.post("/keys", json=WISH, headers=bearer(key)), 403, "forbidden")
    assert len(store.keys) == before
    assert all(one.created_at <= datetime.now(UTC) for one in store.all())
