"""Retraining, promotion and rollback over HTTP: jobs that a worker does, and what it says comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from msgspec.structs import replace

from config.contracts import ChallengerPointer
from config.errors import BrokerUnavailable, LedgerUnavailable
from config.schema.model import Schema
from config.schema.validate import Validator
from config.settings import Settings
from tests.web_app import assert_problem, build_app
from web.memory_gateway import MemoryGateway
from web.memory_ledger import MemoryLedger
from web.memory_model_operations import MemoryModelOperations
from web.ports.models import ChallengerState


@pytest.fixture
def models() -> MemoryModelOperations:
    return MemoryModelOperations()


@pytest.fixture
def client(
    settings: Settings, gateway: MemoryGateway, schema: Schema, validator: Validator, models: MemoryModelOperations
) -> FlaskClient:
    bundle = settings.model_dir / "m2"
    bundle.mkdir(parents=True)
    (bundle / "manifest.json").write_text("{}")
    (bundle / "gate.json").write_text('{"outcome": "reject"}')
    return build_app(settings, gateway, schema, validator, models=models).test_client()


def test_a_training_is_accepted_and_found(client: FlaskClient, models: MemoryModelOperations) -> None:
    before = client.get("/retrain").json
    response = client.post("/retrain")

    assert before == {"status": "idle", "latest": None}
    assert (response.status_code, response.headers["Location"]) == (202, "/retrain")
    assert int(response.headers["Retry-After"]) >= 1
    state = client.get("/retrain").json
    assert (state["status"], state["latest"]["job_id"]) == ("queued", response.json["job_id"])
    assert client.post("/retrain").json["job_id"] == response.json["job_id"]
    models.jobs[0] = replace(models.jobs[0], status="done", outcome="promote", model_version="m3")
    state = client.get("/retrain").json
    assert (state["status"], state["latest"]["outcome"]) == ("idle", "promote")


def test_a_training_beside_another_is_refused(client: FlaskClient, models: MemoryModelOperations) -> None:
    models.answers["retrain"] = {"status": "running", "step": "trying small trees"}
    client.post("/retrain")

    assert_problem(client.post("/retrain"), 409, "training_running")
    assert client.get("/retrain").json["status"] == "running"


def test_a_promotion_that_the_gate_allows_is_200(client: FlaskClient, models: MemoryModelOperations) -> None:
    models.answers["promote"] = {"status": "done", "outcome": "promote"}

    response = client.post("/models/m2/promote")

    assert (response.status_code, response.json["model_version"]) == (200, "m2")
    assert (models.jobs[0].force, models.jobs[0].actor) == (False, "api")


def test_a_promotion_that_the_gate_refuses_is_409_with_its_reasons(
    client: FlaskClient, models: MemoryModelOperations
) -> None:
    models.answers["promote"] = {
        "status": "refused", "code": "promotion_refused", "detail": "the gate says reject: cost_gain"
    }  # fmt: skip

    document = assert_problem(client.post("/models/m2/promote"), 409, "promotion_refused")

    assert "cost_gain" in document["detail"]


def test_force_is_passed_on(client: FlaskClient, models: MemoryModelOperations) -> None:
    models.answers["promote"] = {"status": "done"}

    assert client.post("/models/m2/promote?force=true").status_code == 200
    assert models.jobs[0].force is True


def test_a_promotion_that_takes_longer_is_202_and_found_by_its_id(client: FlaskClient) -> None:
    response = client.post("/models/m2/promote?timeout_s=0")

    assert response.status_code == 202
    assert client.get(response.headers["Location"]).json == response.json


def test_a_worker_that_crashed_is_a_500(client: FlaskClient, models: MemoryModelOperations) -> None:
    models.answers["promote"] = {"status": "failed", "detail": "ZeroDivisionError"}

    assert_problem(client.post("/models/m2/promote"), 500, "internal_error")


def test_a_rollback_is_done_or_refused_as_the_worker_says(client: FlaskClient, models: MemoryModelOperations) -> None:
    models.answers["rollback"] = {"status": "done", "model_version": "m1"}
    done = client.post("/models/rollback")
    models.answers["rollback"] = {"status": "refused", "code": "unknown_id", "detail": "no earlier champion"}
    refused = client.post("/models/rollback")

    assert (done.status_code, done.json["model_version"]) == (200, "m1")
    assert_problem(refused, 404, "unknown_id")


def test_unknown_models_and_jobs_are_not_found(client: FlaskClient, models: MemoryModelOperations) -> None:
    assert_problem(client.post("/models/nobody/promote"), 404, "unknown_id")
    assert_problem(client.get("/models/jobs/nobody"), 404, "unknown_id")
    assert models.jobs == []


@pytest.mark.parametrize(
    "path", ["/models/m2/promote?force=2", "/models/m2/promote?now=1", "/models/m2/promote?timeout_s=121",
             "/models/rollback?force=true",
             "/models/rollback?timeout_s=121", "/retrain?x=1"],
)  # fmt: skip
def test_bad_parameters_are_refused(client: FlaskClient, models: MemoryModelOperations, path: str) -> None:
    assert_problem(client.post(path), 422, "invalid_request")
    assert models.jobs == []


def test_without_a_broker_nothing_is_accepted(client: FlaskClient, models: MemoryModelOperations) -> None:
    models.failure = BrokerUnavailable("the broker is gone")

    for response in (client.post("/retrain"), client.get("/retrain"), client.post("/models/rollback")):
        assert_problem(response, 503, "broker_unavailable")


def test_models_show_the_gates_report_and_the_audit_trail(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [{"action": "promoted", "actor": "beat", "to_version": "m2"}]
    monkeypatch.setattr(MemoryLedger, "model_events", lambda _: events)

    listed = client.get("/models").json

    assert listed["events"] == events
    assert listed["models"][0]["gate"] == {"outcome": "reject"}


def test_models_are_listed_while_the_ledger_is_down(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_ledger(_: MemoryLedger) -> Any:
        raise LedgerUnavailable("the database is gone")

    monkeypatch.setattr(MemoryLedger, "model_events", no_ledger)

    listed = client.get("/models").json

    assert listed["events"] is None
    assert [model["model_version"] for model in listed["models"]] == ["m2"]


def test_a_model_that_was_never_judged_has_no_gate(make_app: Callable[..., Any], settings: Settings) -> None:
    (settings.model_dir / "m9").mkdir(parents=True)
    (settings.model_dir / "m9" / "manifest.json").write_text("{}")

    assert make_app().test_client().get("/models").json["models"][0]["gate"] is None


def test_a_shadow_and_a_canary_are_begun_and_ended(client: FlaskClient, models: MemoryModelOperations) -> None:
    for kind in ("shadow", "canary", "end_challenger"):
        models.answers[kind] = {"status": "done"}

    answers = [
        client.post("/models/m2/shadow"),
        client.post("/models/m2/canary"),
        client.post("/models/m2/canary?share=0.2"),
        client.delete("/models/challenger"),
    ]

    assert [answer.status_code for answer in answers] == [200] * 4
    asked = [(job.kind, job.model_version, job.share) for job in models.jobs]
    assert asked == [
        ("shadow", "m2", 0.0),
        ("canary", "m2", 0.05),
        ("canary", "m2", 0.2),
        ("end_challenger", None, 0.0),
    ]


@pytest.mark.parametrize(
    "path", ["/models/m2/canary?share=0.6", "/models/m2/canary?share=0", "/models/m2/shadow?share=1"]
)
def test_a_share_that_is_none_is_refused(client: FlaskClient, models: MemoryModelOperations, path: str) -> None:
    assert_problem(client.post(path), 422, "invalid_request")
    assert_problem(client.post("/models/nobody/canary"), 404, "unknown_id")
    assert models.jobs == []


def test_models_show_who_is_compared_and_what_the_guard_found(
    client: FlaskClient, models: MemoryModelOperations
) -> None:
    pointer = ChallengerPointer("m2", "e" * 64, "m2", "canary", "d" * 64, "2026-03-01T12:00:00+00:00", 0.05)
    models.state = ChallengerState(pointer, {"rows": 700, "findings": []})

    listed = client.get("/models").json

    assert (listed["challenger"]["model_version"], listed["challenger"]["share"]) == ("m2", 0.05)
    assert listed["guard"] == {"rows": 700, "findings": []}
    models.failure = BrokerUnavailable("the broker is gone")
    assert client.get("/models").json["challenger"] is None


def test_readiness_names_the_versions_in_service(client: FlaskClient) -> None:
    assert client.get("/health").json["served_versions"] == ["m1"]
