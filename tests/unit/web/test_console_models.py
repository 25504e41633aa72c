"""/console/models: what is shown of every bundle, and the changes that an operator asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient

from config.contracts import ChallengerPointer
from config.errors import BrokerUnavailable, LedgerUnavailable
from config.schema.model import Schema
from config.schema.validate import Validator
from config.settings import Settings
from ml.guard.check import Finding, GuardReport
from tests.e2e.second_model import gate_report
from tests.unit.web.console_browser import SECRET, change, text_of, visit
from tests.web_app import JSON, assert_problem, build_app, serving
from web.console.model_facts import facts_of, shown_curves
from web.console.visitor import Visitor
from web.memory_gateway import MemoryGateway
from web.memory_ledger import MemoryLedger
from web.memory_model_operations import MemoryModelOperations
from web.ports.models import ChallengerState
from web.shapes.models import ModelEntry

CURVES: dict[str, Any] = {
    "ranking_curve": {"recall": [0.5, 1.0], "precision": [1.0, 0.5], "false_positive_rate": [0.0, 0.1]},
    "calibration_curve": {"predicted": [0.1, 0.2], "observed": [0.1, 0.3], "count": [5, 5]},
}
REPORT: dict[str, Any] = {
    "test": {"average_precision": {"value": 0.7, "low": 0.6, "high": 0.8}},
    "thresholds": {"review": 0.02, "decline": 0.36},
    "importances": {"hour": 0.1, "amount": 0.4},
    "trials": [{"name": "small trees", "average_precision": 0.63, "roc_auc": 0.9, "seconds": 1.6}],
    "warnings": ["amount alone tells fraud from genuine"],
    **CURVES,
}
EVENT: dict[str, Any] = {
    "at": "2026-03-01T12:00:00Z",
    "actor": "operator:ada",
    "action": "rolled_back",
    "from_version": "m1",
    "to_version": "m0",
    "reasons": ["too many alerts"],
}


@pytest.fixture
def models() -> MemoryModelOperations:
    return MemoryModelOperations()


@pytest.fixture
def ledger(gateway: MemoryGateway) -> MemoryLedger:
    return MemoryLedger(gateway, [], events=[EVENT])


@pytest.fixture
def make_client(
    settings: Settings,
    gateway: MemoryGateway,
    schema: Schema,
    validator: Validator,
    models: MemoryModelOperations,
    ledger: MemoryLedger,
) -> Callable[..., FlaskClient]:
    """A visitor of a console whose store has these bundles: version -> report. "m2" was judged by the gate."""

    def make(**reports: dict[str, Any]) -> FlaskClient:
        for version, report in reports.items():
            _write_bundle(settings.model_dir / version, report)
        if "m2" in reports:
            (settings.model_dir / "m2" / "gate.json").write_bytes(msgspec.json.encode(gate_report("m1")))
        return visit(build_app(settings, gateway, schema, validator, models=models, ledger=ledger))

    return make


def _write_bundle(directory: Path, report: dict[str, Any]) -> None:
    directory.mkdir(parents=True)
    (directory / "manifest.json").write_text("{}")
    (directory / "report.json").write_text(json.dumps(report))


def test_without_a_model_the_page_says_how_to_get_one(
    make_client: Callable[..., FlaskClient], gateway: MemoryGateway
) -> None:
    gateway.workers = []

    text = text_of(make_client().get("/console/models"))

    assert "No model yet" in text
    assert "No model is promoted yet" in text


def test_the_champion_is_shown_and_a_challenger_beside_it_with_its_gate_report(
    make_client: Callable[..., FlaskClient],
) -> None:
    client = make_client(m1=REPORT, m2=REPORT)

    champion, challenger = (text_of(client.get(f"/console/models{query}")) for query in ("", "?model=m2"))

    assert "The gate was not asked" in champion
    assert 'data-ask="promote" data-model="m2"' in champion
    assert 'data-model="m1"' not in champion, "what decides already is not offered"
    assert "keep shadowing" in challenger
    assert "-0.0004 to 0.0004" in challenger
    assert re.search(r'data-legend="pr">.*m2 .*champion ', challenger, re.DOTALL), "beside the champion's"
    assert "amount alone tells fraud from genuine" in challenger


def test_the_history_says_who_did_what_and_why(make_client: Callable[..., FlaskClient]) -> None:
    text = text_of(make_client(m1=REPORT).get("/console/models"))

    assert all(words in text for words in ("rolled back", "operator:ada", "too many alerts"))


def test_a_model_that_is_gone_is_said_to_be_gone(make_client: Callable[..., FlaskClient]) -> None:
    assert "has no model m0 any more" in text_of(make_client(m1=REPORT).get("/console/models?model=m0"))


@pytest.mark.parametrize("report", [{}, {"test": 1, "thresholds": []}], ids=["none", "of another shape"])
def test_a_report_that_cannot_be_read_leaves_the_model_visible(
    make_client: Callable[..., FlaskClient], report: dict[str, Any]
) -> None:
    assert 'href="/console/models?model=m1#model"' in text_of(make_client(m1=report).get("/console/models"))


def test_the_page_is_there_when_broker_and_ledger_are_not(
    make_client: Callable[..., FlaskClient],
    gateway: MemoryGateway,
    models: MemoryModelOperations,
    ledger: MemoryLedger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gone(_: MemoryLedger) -> Any:
        raise LedgerUnavailable("the ledger is gone")

    gateway.failure = models.failure = BrokerUnavailable("the broker is gone")
    monkeypatch.setattr(MemoryLedger, "model_events", gone)

    assert "The ledger does not answer" in text_of(make_client(m1=REPORT).get("/console/models"))


def test_a_running_training_is_shown_with_its_step(
    make_client: Callable[..., FlaskClient], models: MemoryModelOperations
) -> None:
    models.answers["retrain"] = {"status": "running", "step": "fitting 3 of 4"}
    client = make_client(m1=REPORT)

    assert change(client, "/console/models/retrain").status_code == 202

    text = text_of(client.get("/console/models"))
    assert "A training is running" in text
    assert "fitting 3 of 4" in text
    assert_problem(change(client, "/console/models/retrain"), 409, "training_running")


@pytest.mark.parametrize(("query", "is_forced"), [("", False), ("?force=true", True)])
def test_a_promotion_is_a_job_with_the_visitors_name(
    make_client: Callable[..., FlaskClient], models: MemoryModelOperations, query: str, is_forced: bool
) -> None:
    asked = change(make_client(m1=REPORT, m2=REPORT), f"/console/models/m2/promote{query}")

    assert asked.status_code == 202
    [job] = models.jobs
    assert (job.kind, job.model_version, job.force) == ("promote", "m2", is_forced)
    assert job.actor == f"console:{Visitor(SECRET).visitor_id}"
    assert asked.json["job_id"] == job.job_id


@pytest.mark.parametrize(
    ("path", "kind", "share"), [("m2/shadow", "shadow", 0), ("m2/canary?share=0.1", "canary", 0.1)]
)
def test_a_model_is_put_beside_the_champion_and_taken_away(
    make_client: Callable[..., FlaskClient], models: MemoryModelOperations, path: str, kind: str, share: float
) -> None:
    client = make_client(m1=REPORT, m2=REPORT)

    assert change(client, f"/console/models/{path}").status_code == 202
    assert change(client, "/console/models/challenger/end").status_code == 202

    assert [(job.kind, job.model_version, job.share) for job in models.jobs] == [
        (kind, "m2", share),
        ("end_challenger", None, 0),
    ]


@pytest.mark.parametrize(
    ("role", "words"), [("shadow", "decides nothing"), ("canary", "decides 5.0%"), ("watch", "was the champion")]
)
def test_what_is_beside_the_champion_is_said_with_what_the_guard_found(
    make_client: Callable[..., FlaskClient], models: MemoryModelOperations, role: Any, words: str
) -> None:
    pointer = ChallengerPointer("m2", "d" * 64, "m2", role, "e" * 64, "2026-03-01T12:00:00Z", share=0.05)
    findings = [
        Finding(name="alerts", figure=2.5, bound=2.0, is_broken=True, rule="no more than twice the alerts"),
        Finding(name="psi", figure=None, bound=1.0, is_broken=False, rule="scores like the other"),
    ]
    report = GuardReport(rows=812, is_enough=True, findings=findings)
    models.state = ChallengerState(pointer, msgspec.to_builtins(report))

    text = text_of(make_client(m1=REPORT, m2=REPORT).get("/console/models"))

    assert words in text
    assert "no more than twice the alerts" in text
    assert "812 payments" in text
    assert "too early" in text
    assert ("broken" in text, 'data-ask="end"' in text) == (True, role != "watch")


def test_what_is_not_in_the_store_cannot_be_promoted(make_client: Callable[..., FlaskClient]) -> None:
    assert_problem(change(make_client(m1=REPORT), "/console/models/m9/promote"), 404, "unknown_id")


def test_a_rollback_is_a_job(make_client: Callable[..., FlaskClient], models: MemoryModelOperations) -> None:
    assert change(make_client(m1=REPORT), "/console/models/rollback").status_code == 202

    assert [job.kind for job in models.jobs] == ["rollback"]


def test_a_reload_has_each_workers_answer(make_client: Callable[..., FlaskClient], gateway: MemoryGateway) -> None:
    client = make_client(m1=REPORT)

    agreed = change(client, "/console/models/reload")
    gateway.workers = [serving("score-1"), serving("score-2", status="timeout")]
    silent = change(client, "/console/models/reload")

    assert (agreed.status_code, agreed.json["agreed"]) == (200, True)
    assert (silent.status_code, [one["status"] for one in silent.json["workers"]]) == (207, ["serving", "timeout"])


def entry(report: dict[str, Any], version: str = "m1") -> ModelEntry:
    return ModelEntry(version, version == "m1", "d" * 64, "2026-03-01T12:00:00Z", report)


def test_importances_are_shares_of_the_largest() -> None:
    assert facts_of(entry(REPORT)).importances == [("amount", 1.0), ("hour", 0.25)]


def test_curves_are_those_of_the_chosen_model_and_of_the_champion_once() -> None:
    champion, other, old = entry(REPORT), entry(REPORT, "m2"), entry({"test": {}}, "m3")

    assert [one.name for one in shown_curves(other, champion)] == ["m2", "m1"]
    assert [one.name for one in shown_curves(champion, champion)] == ["m1"]
    assert [one.name for one in shown_curves(old, champion)] == ["m1"]
    assert shown_curves(None, None) == []


def test_a_change_without_the_token_is_refused(
    make_client: Callable[..., FlaskClient], models: MemoryModelOperations
) -> None:
    refused = make_client(m1=REPORT).post("/console/models/rollback", headers={"Accept": JSON})

    assert_problem(refused, 403, "cross_site_request")
    assert models.jobs == []
