"""GET /thresholds: advice from rolled-up scores, with the policy file's costs or those of the query."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from config.schema.model import Schema
from config.schema.validate import Validator
from config.settings import Settings
from ml.advisor.scores import DayScores
from ml.quality.cells import Cell, LabelDelay, QualityState
from tests.threshold_days import calibrated_day
from tests.unit.web.test_openapi import answers_to
from tests.web_app import assert_problem, build_app
from web.memory_gateway import MemoryGateway
from web.memory_ledger import MemoryLedger
from web.openapi import build_document

TODAY = datetime.now(UTC)
STATE = QualityState(TODAY, LabelDelay(7 * 86_400.0, True, 250), 100)


def day(ago: int) -> str:
    return (TODAY - timedelta(days=ago)).date().isoformat()


def newest_cell() -> Cell:
    return Cell(
        day=day(1), dimension="all", value="", decisions=1, labelled=0, frauds=0, fraud_amount=0.0, explored=0,
        measures={},
    )  # fmt: skip


SCORES = [calibrated_day(day(ago), each=100) for ago in range(40, 0, -1)]


@pytest.fixture
def make_client(
    settings: Settings, gateway: MemoryGateway, schema: Schema, validator: Validator, tmp_path: Path
) -> Callable[..., FlaskClient]:
    def make(policy: str = "", *, scores: list[DayScores] = SCORES, state: QualityState | None = STATE) -> FlaskClient:
        ledger = MemoryLedger(gateway, [], cells=[newest_cell()], scores=scores, state=state)
        here = settings.model_copy(update={"model_dir": tmp_path, "data_dir": tmp_path})
        (tmp_path / "policy.toml").write_text(policy)
        return build_app(here, gateway, schema, validator, ledger=ledger).test_client()

    return make


def test_matured_days_give_advice_with_its_uncertainty_and_curves(make_client: Callable[..., FlaskClient]) -> None:
    report = make_client().get("/thresholds").json

    assert (report["since"], report["until"], report["days"]) == (day(97), day(7), 33)
    best = report["advice"]["best"]
    assert 0 < best["review"] < best["decline"] < 1
    assert best["alerts_per_day"]["low"] <= best["alerts_per_day"]["value"] <= best["alerts_per_day"]["high"]
    assert {point["threshold"] for point in report["advice"]["decline_curve"]} >= {best["decline"]}
    assert report["advice"]["current"] is None


def test_the_answer_is_what_the_document_says(make_client: Callable[..., FlaskClient], schema: Schema) -> None:
    answers: Draft202012Validator = answers_to(build_document(schema), "ThresholdReport")

    answers.validate(make_client("[thresholds]\nreview = 0.2\ndecline = 0.6\n").get("/thresholds").json)
    answers.validate(make_client(scores=[]).get("/thresholds").json)
    answers.validate(make_client(state=None).get("/thresholds").json)


def test_costs_and_reviewers_of_the_query_win_over_those_of_the_policy_file(
    make_client: Callable[..., FlaskClient],
) -> None:
    client = make_client("[costs]\nrefusal = 50.0\nchargeback_fee = 15.0\n[reviewers]\nper_day = 500\nminutes = 2\n")

    own = client.get("/thresholds").json
    asked = client.get("/thresholds?refusal=5&reviews_per_day=0&review_minutes=10").json

    assert (own["costs"]["refusal"], own["costs"]["chargeback_fee"], own["reviewers"]["per_day"]) == (50.0, 15.0, 500.0)
    assert (asked["costs"]["refusal"], asked["costs"]["chargeback_fee"]) == (5.0, 15.0)
    assert asked["reviewers"] == {"per_day": 0.0, "minutes": 10.0}
    assert asked["advice"]["best"]["reviews_per_day"]["value"] == 0
    assert asked["advice"]["best"]["decline"] < own["advice"]["best"]["decline"]


def test_the_thresholds_in_force_are_the_policy_files_else_the_champions_own(
    make_client: Callable[..., FlaskClient], tmp_path: Path, gateway: MemoryGateway
) -> None:
    champion = gateway.health().model_version
    assert champion is not None
    (tmp_path / champion).mkdir()
    (tmp_path / champion / "report.json").write_text(json.dumps({"thresholds": {"review": 0.3, "decline": 0.7}}))

    of_model = make_client().get("/thresholds").json["advice"]["current"]
    of_file = make_client("[thresholds]\nreview = 0.2\ndecline = 0.6\n").get("/thresholds").json["advice"]["current"]

    assert (of_model["review"], of_model["decline"]) == (0.3, 0.7)
    assert (of_file["review"], of_file["decline"]) == (0.2, 0.6)


@pytest.mark.parametrize(
    "query", ["refusal=-1", "margin=2", "review_misses=x", "days=0", "days=367", "reviews_per_day=nan", "cost=1"]
)
def test_a_parameter_that_makes_no_sense_is_refused_by_name(
    make_client: Callable[..., FlaskClient], query: str
) -> None:
    problem = assert_problem(make_client().get(f"/thresholds?{query}"), 422, "invalid_request")

    assert problem["errors"][0]["pointer"] == f"?{query.partition('=')[0]}"


def test_a_policy_file_with_mistakes_is_named(make_client: Callable[..., FlaskClient], tmp_path: Path) -> None:
    client = make_client()
    (tmp_path / "policy.toml").write_text("[costs]\nmargin = 7\n")

    problem = assert_problem(client.get("/thresholds"), 503, "not_ready")

    assert "/costs/margin" in problem["detail"]


def test_before_the_first_roll_up_there_is_nothing_to_say(make_client: Callable[..., FlaskClient]) -> None:
    report: dict[str, Any] = make_client(state=None).get("/thresholds").json

    assert (report["advice"], report["notes"]) == (None, ["no decisions have been rolled up yet"])
