"""One tenant asks, on every route that shows or takes payments, for what another one made, and gets nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.unit.web.console_browser import SECRET
from tests.unit.web.tenants.conftest import KEY, SENT, UPLOAD, Made, Site
from tests.web_app import assert_problem
from tests.web_batches import NDJSON
from web.console.visitor import TOKEN_HEADER, Visitor
from web.routes import route_name
from web.tenancy import OWN_DATA

Attempt = Callable[[Site, Made, str], None]


def unknown(response: Any) -> None:
    assert_problem(response, 404, "unknown_id")


def send_its_transaction_id(site: Site, made: Made, thief: str) -> None:
    mine = site.predict(thief, made.decided, amount=7)

    assert (mine.status_code, mine.json["transaction_id"]) == (200, made.decided)
    assert mine.json["decision_id"] != made.decision_id
    assert "Tollgate-Replayed" not in mine.headers
    assert site.predict(site.owner, made.decided).json["decision_id"] == made.decision_id


def poll_its_transactions(site: Site, made: Made, thief: str) -> None:
    for transaction_id in (made.decided, made.waiting, f"{site.owner}%1F{made.decided}"):
        unknown(site.ask(thief, "GET", f"/predictions/{transaction_id}"))


def label_its_payments(site: Site, made: Made, thief: str) -> None:
    for about in ({"transaction_id": made.decided}, {"decision_id": made.decision_id}):
        unknown(site.ask(thief, "POST", "/feedback", body={**about, "is_fraud": True}))
        line = msgspec.json.encode({**about, "is_fraud": True})
        report = site.ask(thief, "POST", "/feedback", data=line, content_type=NDJSON).json
        assert (report["accepted"], report["refused"]) == (0, 1)
    by_content = site.ask(thief, "POST", "/feedback?actual_label=true", body=SENT).json
    assert (by_content["matched"], by_content["decision_id"]) == (False, None)
    assert not [o for _, o in site.gateway.labels if o.decision_id == made.decision_id]


def upload_under_its_idempotency_key(site: Site, made: Made, thief: str) -> None:
    mine = site.upload(thief)

    assert mine.status_code == 202
    assert "Idempotency-Replayed" not in mine.headers
    assert mine.json["id"] != made.batch_id
    assert site.upload(site.owner).headers["Idempotency-Replayed"] == "true"


def list_its_batches(site: Site, made: Made, thief: str) -> None:
    assert site.ask(thief, "GET", "/batches").json == {"batches": [], "next": None}
    mine = site.upload(thief).json["id"]
    assert [one["id"] for one in site.ask(thief, "GET", "/batches?limit=1").json["batches"]] == [mine]
    assert site.ask(thief, "GET", f"/batches?before={made.batch_id}").json["batches"] == []


def read_its_batch(site: Site, made: Made, thief: str) -> None:
    unknown(site.ask(thief, "GET", f"/batches/{made.batch_id}"))


def cancel_its_batch(site: Site, made: Made, thief: str) -> None:
    unknown(site.ask(thief, "DELETE", f"/batches/{made.batch_id}"))


def read_its_results(site: Site, made: Made, thief: str) -> None:
    unknown(site.ask(thief, "GET", f"/batches/{made.batch_id}/results"))


def read_its_errors(site: Site, made: Made, thief: str) -> None:
    unknown(site.ask(thief, "GET", f"/batches/{made.batch_id}/errors"))


def list_its_decisions(site: Site, made: Made, thief: str) -> None:
    tricks = ("", "entity=account&value=acc-1", f"entity=account&value={site.owner}%1Facc-1", "labelled=true")
    for query in tricks:
        assert site.ask(thief, "GET", f"/decisions?{query}").json == {"decisions": [], "next": None}


def read_its_decision(site: Site, made: Made, thief: str) -> None:
    for an_id in (made.decided, made.decision_id, f"{site.owner}%1F{made.decided}"):
        unknown(site.ask(thief, "GET", f"/decisions/{an_id}"))


def list_its_reviews(site: Site, made: Made, thief: str) -> None:
    queue = site.ask(thief, "GET", "/reviews").json
    assert (queue["open"], queue["oldest_at"], queue["done_today"], queue["reviews"]) == (0, None, 0, [])


def look_around_in_the_console(site: Site, made: Made, thief: str) -> None:
    begin = site.ask(thief, "GET", "/console")
    assert (begin.status_code, begin.headers.get("Location")) in ((200, None), (303, "/console/decisions"))
    for path in ("/console", "/console/decisions", "/console/reviews", "/console/batches"):
        text = site.ask(thief, "GET", path).text
        assert not [one for one in (made.decision_id, made.batch_id) if one in text]


def search_its_decisions(site: Site, made: Made, thief: str) -> None:
    for query in ("q=acc-1", f"q={made.decision_id}", "entity=account&value=acc-1", f"q={site.owner}%1Facc-1"):
        found = site.ask(thief, "GET", f"/console/decisions?{query}")
        assert (found.status_code, f"decisions/{made.decision_id}" in found.text) == (200, False)


def open_its_decision(site: Site, made: Made, thief: str) -> None:
    for an_id in (made.decided, made.decision_id):
        unknown(site.ask(thief, "GET", f"/console/decisions/{an_id}"))


def replay_its_decision(site: Site, made: Made, thief: str) -> None:
    unknown(site.ask(thief, "POST", f"/console/decisions/{made.decision_id}/replay"))
    assert not site.gateway.replays.requests


def read_its_replay(site: Site, made: Made, thief: str) -> None:
    replay_id = site.gateway.replays.ask(made.decision_id).replay_id
    mine = site.predict(thief, "mine").json["decision_id"]

    unknown(site.ask(thief, "GET", f"/console/replays/{replay_id}"))
    assert f'"{replay_id}"' not in site.ask(thief, "GET", f"/console/decisions/{mine}?replay={replay_id}").text
    assert site.ask(site.owner, "GET", f"/console/replays/{replay_id}").status_code == 200
    assert f'"{replay_id}"' in site.ask(site.owner, "GET", f"/console/decisions/{made.decided}?replay={replay_id}").text


def read_its_review_queue(site: Site, made: Made, thief: str) -> None:
    assert site.ask(thief, "GET", "/console/reviews/queue").json["open"] == 0


def open_its_case(site: Site, made: Made, thief: str) -> None:
    unknown(site.ask(thief, "GET", f"/console/reviews/{made.decision_id}/case"))


def hold_its_case(site: Site, made: Made, thief: str) -> None:
    unknown(site.ask(thief, "POST", f"/console/reviews/{made.decision_id}/claim"))
    assert not site.gateway.reviews.held


def let_go_of_its_case(site: Site, made: Made, thief: str) -> None:
    assert site.ask(site.owner, "POST", f"/console/reviews/{made.decision_id}/claim").status_code == 204
    unknown(site.ask(thief, "POST", f"/console/reviews/{made.decision_id}/release"))
    assert site.gateway.reviews.held


def label_its_case(site: Site, made: Made, thief: str) -> None:
    unknown(site.ask(thief, "POST", f"/console/reviews/{made.decision_id}/label", body={"is_fraud": True}))


def upload_in_the_console(site: Site, made: Made, thief: str) -> None:
    headers = {TOKEN_HEADER: Visitor(SECRET).token, **KEY}
    mine = site.ask(thief, "POST", "/console/batches", data=UPLOAD, content_type=NDJSON, headers=headers)
    assert (mine.status_code, mine.json["id"] == made.batch_id) == (202, False)


def follow_its_batches(site: Site, made: Made, thief: str) -> None:
    assert site.ask(thief, "GET", "/console/batches/states").json == []


def open_its_batch(site: Site, made: Made, thief: str) -> None:
    for what in ("", "/state", "/results.ndjson", "/results.csv", "/errors.ndjson"):
        unknown(site.ask(thief, "GET", f"/console/batches/{made.batch_id}{what}"))
        assert site.ask(site.owner, "GET", f"/console/batches/{made.batch_id}{what}").status_code == 200


def stop_its_batch(site: Site, made: Made, thief: str) -> None:
    unknown(site.ask(thief, "POST", f"/console/batches/{made.batch_id}/cancel"))


ATTEMPTS: dict[tuple[str, str], Attempt] = {
    ("POST", "/predict"): send_its_transaction_id,
    ("GET", "/predictions/{transaction_id}"): poll_its_transactions,
    ("POST", "/feedback"): label_its_payments,
    ("POST", "/batches"): upload_under_its_idempotency_key,
    ("GET", "/batches"): list_its_batches,
    ("GET", "/batches/{batch_id}"): read_its_batch,
    ("DELETE", "/batches/{batch_id}"): cancel_its_batch,
    ("GET", "/batches/{batch_id}/results"): read_its_results,
    ("GET", "/batches/{batch_id}/errors"): read_its_errors,
    ("GET", "/decisions"): list_its_decisions,
    ("GET", "/decisions/{decision_id}"): read_its_decision,
    ("GET", "/reviews"): list_its_reviews,
    ("GET", "/console"): look_around_in_the_console,
    ("GET", "/console/decisions"): search_its_decisions,
    ("GET", "/console/decisions/{decision_id}"): open_its_decision,
    ("POST", "/console/decisions/{decision_id}/replay"): replay_its_decision,
    ("GET", "/console/replays/{replay_id}"): read_its_replay,
    ("GET", "/console/reviews"): look_around_in_the_console,
    ("GET", "/console/reviews/queue"): read_its_review_queue,
    ("GET", "/console/reviews/{decision_id}/case"): open_its_case,
    ("POST", "/console/reviews/{decision_id}/claim"): hold_its_case,
    ("POST", "/console/reviews/{decision_id}/release"): let_go_of_its_case,
    ("POST", "/console/reviews/{decision_id}/label"): label_its_case,
    ("GET", "/console/batches"): look_around_in_the_console,
    ("POST", "/console/batches"): upload_in_the_console,
    ("GET", "/console/batches/states"): follow_its_batches,
    ("GET", "/console/batches/{batch_id}"): open_its_batch,
    ("GET", "/console/batches/{batch_id}/state"): open_its_batch,
    ("GET", "/console/batches/{batch_id}/results.ndjson"): open_its_batch,
    ("GET", "/console/batches/{batch_id}/results.csv"): open_its_batch,
    ("GET", "/console/batches/{batch_id}/errors.ndjson"): open_its_batch,
    ("POST", "/console/batches/{batch_id}/cancel"): stop_its_batch,
}


def test_every_route_with_a_tenants_data_has_its_attempt(site: Site) -> None:
    rules = [rule for rule in site.app.url_map.iter_rules() if route_name(rule.rule) in OWN_DATA]
    methods = {(method, route_name(rule.rule)) for rule in rules for method in rule.methods or ()}

    assert {one for one in methods if one[0] not in ("HEAD", "OPTIONS")} == set(ATTEMPTS)


@pytest.mark.parametrize("attempt", dict.fromkeys(ATTEMPTS.values()), ids=lambda attempt: attempt.__name__)
@pytest.mark.parametrize("thief", ["bolt", "default"])
def test_no_tenant_gets_at_what_another_one_made(site: Site, made: Made, thief: str, attempt: Attempt) -> None:
    attempt(site, made, "acme-2" if thief == site.owner else thief)


def test_its_owner_finds_all_of_it_under_the_ids_that_it_sent(site: Site, made: Made) -> None:
    def read(path: str) -> Any:
        return site.ask(site.owner, "GET", path)

    assert read(f"/predictions/{made.decided}").json["transaction_id"] == made.decided
    waiting = read(f"/predictions/{made.waiting}")
    assert (waiting.status_code, waiting.headers["Location"]) == (202, f"/predictions/{made.waiting}")
    listed = read("/decisions?entity=account&value=acc-1").json["decisions"]
    assert [one["decision"]["transaction_id"] for one in listed] == [made.labelled, made.decided]
    assert listed[0]["labels"][0]["label_id"] == "l-1"
    assert read(f"/decisions/{made.decision_id}").json == read(f"/decisions/{made.decided}").json
    queue = read("/reviews").json
    assert (queue["open"], queue["done_today"], queue["reviews"][0]["case"]["decision"]["transaction_id"]) == (
        1,
        1,
        made.decided,
    )
    assert [one["id"] for one in read("/batches").json["batches"]] == [made.batch_id]
    assert read(f"/batches/{made.batch_id}/results").data.count(b"\n") == 1
    assert read(f"/batches/{made.batch_id}/errors").data == b'{"row":2}\n'


def test_an_error_names_the_id_as_it_was_sent(site: Site, made: Made) -> None:
    conflict = site.predict(site.owner, made.decided, amount=9)

    document = assert_problem(conflict, 409, "transaction_conflict")
    assert document["detail"] == "transaction_id 't-1' was sent before with other content"


def test_a_decision_by_rules_is_the_tenants_own_too(site: Site, made: Made) -> None:
    site.gateway.is_stalled = True
    late = site.predict("bolt", made.decided, amount=3, headers={"Prefer": "respond-async"})
    site.gateway.is_stalled = False

    assert (late.status_code, late.json["transaction_id"]) == (202, made.decided)
    assert site.gateway.find(f"bolt\x1f{made.decided}").status == "pending"


@pytest.mark.parametrize("field", ["transaction_id", "account_id"])
def test_nobody_can_send_another_tenants_id_in_a_payment(site: Site, field: str) -> None:
    response = site.ask("default", "POST", "/predict", body={**SENT, field: "acme\x1ft-1"})

    assert assert_problem(response, 422, "invalid_transaction")["errors"][0]["code"] == "bad_characters"


@pytest.mark.parametrize("field", ["transaction_id", "decision_id", "label_id"])
def test_nobody_can_send_another_tenants_id_in_a_label(site: Site, field: str) -> None:
    label = {"is_fraud": True, field: "acme\x1ft-1"} | ({"decision_id": "d-1"} if field == "label_id" else {})

    response = site.ask("default", "POST", "/feedback", body=label)

    assert assert_problem(response, 422, "invalid_request")["errors"][0]["code"] == "bad_characters"


def test_the_model_and_the_lists_see_what_was_sent_whoever_sent_it(site: Site) -> None:
    for tenant in ("default", "acme"):
        site.predict(tenant, "t-1")

    (mine, _), (theirs, decision) = site.gateway.decided()
    assert decision.transaction_id == "acme\x1ft-1"
    assert theirs.values == mine.values
    assert theirs.digest != mine.digest
