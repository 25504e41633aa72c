"""GET /quality, the quality part of GET /metrics, and the gauges: what a roll-up shows, and what none shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from prometheus_client.parser import text_string_to_metric_families

from config.errors import LedgerUnavailable
from config.quality_measures import MEASURES
from config.schema.model import Schema
from config.schema.validate import Validator
from config.settings import Settings
from ml.quality.cells import Cell, Dimension, LabelDelay, QualityState
from ml.quality.ratio import counted
from tests.unit.web.test_openapi import answers_to
from tests.web_app import assert_problem, build_app
from web.memory_gateway import MemoryGateway
from web.memory_ledger import MemoryLedger
from web.openapi import build_document

TODAY = datetime.now(UTC)
WEEK_S = 7 * 86_400.0
STATE = QualityState(TODAY, LabelDelay(WEEK_S, True, 250), 100)


def day(ago: int) -> str:
    return (TODAY - timedelta(days=ago)).date().isoformat()


def cell(ago: int, dimension: Dimension = "all", value: str = "", **changes: Any) -> Cell:
    given: dict[str, Any] = {
        "day": day(ago),
        "dimension": dimension,
        "value": value,
        "decisions": 1000,
        "labelled": 30,
        "frauds": 20,
        "fraud_amount": 900.0,
        "explored": 0,
        "measures": {"precision": counted(15, 40), "recall": counted(15, 20), "cost": counted(3, 1000)},
        "estimates": {"precision": counted(18, 40)} if ago > 1 else None,
    }
    return Cell(**(given | changes))


CELLS = [
    *(cell(ago) for ago in (1, 3, 20, 40)),
    cell(20, "model_version", "m1"),
    cell(20, "segment", "online"),
    cell(20, "segment", "travel", decisions=7),
]


@pytest.fixture
def make_client(
    settings: Settings, gateway: MemoryGateway, schema: Schema, validator: Validator, tmp_path: Path
) -> Callable[..., FlaskClient]:
    def make(ledger: MemoryLedger | None = None) -> FlaskClient:
        shown = ledger or MemoryLedger(gateway, [], cells=CELLS, state=STATE)
        here = settings.model_copy(update={"model_dir": tmp_path})
        return build_app(here, gateway, schema, validator, ledger=shown).test_client()

    return make


def write_report(model_dir: Path, version: str, *, precise: int) -> None:
    """A bundle's report: of 1,000 alerts on its test window `precise` were fraud."""
    outcome = {"n": 100_000, "declined": 0, "reviewed": 1000, "missed_fraud": 0, "refused_good": 0}
    test = {"k": 1, "base_rate": precise / 100_000, "card_precision_at_k": None, "outcome": outcome}
    (model_dir / version).mkdir()
    (model_dir / version / "report.json").write_text(json.dumps({"test": test}))


def test_each_day_is_a_line_and_says_whether_it_is_matured(make_client: Callable[..., FlaskClient]) -> None:
    report = make_client().get("/quality").json

    assert [(g["group"], g["maturity"]) for g in report["groups"]] == [
        (day(40), "matured"),
        (day(20), "matured"),
        (day(3), "provisional"),
        (day(1), "provisional"),
    ]
    assert report["groups"][0]["matured"]["measures"]["precision"]["value"] == 0.375
    assert report["groups"][2]["provisional"]["frauds"] == 20
    assert report["groups"][2]["estimate"]["precision"]["value"] == 0.45
    assert report["groups"][3]["estimate"] is None
    assert report["label_delay"] == {"delay_s": WEEK_S, "is_learned": True, "labels": 250}


def test_the_answer_is_what_the_document_says(make_client: Callable[..., FlaskClient], schema: Schema) -> None:
    validator: Draft202012Validator = answers_to(build_document(schema), "QualityReport")

    for by in ("day", "week", "model_version", "segment", "all"):
        validator.validate(make_client().get(f"/quality?by={by}").json)


def test_lines_by_segment_and_over_all(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client()

    segments = client.get("/quality?by=segment").json["groups"]
    (everything,) = client.get("/quality?by=all").json["groups"]

    assert [(g["group"], g["decisions"]) for g in segments] == [("online", 1000), ("travel", 7)]
    assert (everything["group"], everything["decisions"], everything["maturity"]) == ("all", 4000, "mixed")


def test_a_range_takes_dates_and_times(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client()

    found = client.get(f"/quality?since={day(20)}&until={day(3)}T12:00:00Z").json

    assert (found["since"], found["until"]) == (day(20), day(3))
    assert [g["group"] for g in found["groups"]] == [day(20)]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [("by=hour", "?by"), ("since=yesterday", "?since"), ("until=2026-02-30", "?until"), ("x=1", "?x")],
)
def test_a_parameter_that_cannot_be_used_is_named(
    make_client: Callable[..., FlaskClient], query: str, pointer: str
) -> None:
    problem = assert_problem(make_client().get(f"/quality?{query}"), 422, "invalid_request")

    assert problem["errors"][0]["pointer"] == pointer


def test_a_model_that_does_worse_than_it_promised_is_marked(
    make_client: Callable[..., FlaskClient], tmp_path: Path
) -> None:
    write_report(tmp_path, "m1", precise=900)
    client = make_client()

    (line,) = client.get("/quality?by=model_version").json["groups"]
    days = {g["group"]: g for g in client.get("/quality").json["groups"]}

    assert line["promise"]["precision"]["promised"]["value"] == 0.9
    assert line["promise"]["precision"]["is_below_promise"]
    assert line["is_below_promise"]
    assert days[day(20)]["promised_by"] == "m1"
    assert days[day(40)]["promise"] == {}


def test_a_model_that_keeps_its_promise_is_not(make_client: Callable[..., FlaskClient], tmp_path: Path) -> None:
    write_report(tmp_path, "m1", precise=400)

    (line,) = make_client().get("/quality?by=model_version").json["groups"]

    assert not line["promise"]["precision"]["is_below_promise"]


def test_a_version_that_names_a_path_reads_nothing_outside_the_store(
    make_client: Callable[..., FlaskClient], gateway: MemoryGateway, tmp_path: Path
) -> None:
    write_report(tmp_path.parent, f"{tmp_path.name}-outside", precise=900)
    version = f"../{tmp_path.name}-outside"
    ledger = MemoryLedger(gateway, [], cells=[cell(20, "model_version", version)], state=STATE)

    (line,) = make_client(ledger).get("/quality?by=model_version").json["groups"]

    assert line["promise"] == {}


def test_before_the_first_roll_up_there_is_nothing_and_it_says_so(
    make_client: Callable[..., FlaskClient], gateway: MemoryGateway
) -> None:
    client = make_client(MemoryLedger(gateway, []))

    report = client.get("/quality").json

    assert (report["rolled_at"], report["groups"]) == (None, [])
    assert "no decisions have been rolled up yet" in client.get("/metrics").text


def test_metrics_show_what_is_matured_apart_from_what_is_provisional(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client()

    shown = client.get("/metrics", headers={"Accept": "application/json"}).json["quality"]

    assert shown["matured"]["decisions"] == 1000  # the day 40 days ago is older than 28
    assert shown["matured"]["recall"]["value"] == 0.75
    assert shown["provisional"]["decisions"] == 2000
    assert shown["provisional_estimate"]["precision"]["value"] == 0.45
    assert set(MEASURES) <= set(shown["matured"])
    assert "provisional" in client.get("/metrics").text
    assert "provisional" in client.get("/metrics", headers={"Accept": "text/html"}).text


def samples(client: FlaskClient) -> dict[tuple[str, ...], float]:
    text = client.get("/prometheus").text
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("tollgate_quality")
    }


def test_every_gauge_is_there_before_the_first_roll_up_and_0(
    make_client: Callable[..., FlaskClient], gateway: MemoryGateway
) -> None:
    found = samples(make_client(MemoryLedger(gateway, [])))

    assert set(found.values()) == {0.0}
    for measure in set(MEASURES) - {"cost"}:
        for maturity in ("matured", "provisional", "estimate"):
            for bound in ("value", "low", "high"):
                assert ("tollgate_quality_ratio", *sorted((measure, maturity, bound))) in found
    assert ("tollgate_quality_decisions", "matured") in found
    assert ("tollgate_quality_cost_per_payment", "high", "matured") in found
    assert ("tollgate_quality_below_promise", "recall") in found


def test_gauges_carry_the_figures_and_the_same_series_as_before(
    make_client: Callable[..., FlaskClient], gateway: MemoryGateway, tmp_path: Path
) -> None:
    write_report(tmp_path, "m1", precise=900)

    found = samples(make_client())

    assert found["tollgate_quality_ratio", "matured", "recall", "value"] == 0.75
    assert found["tollgate_quality_ratio", "estimate", "precision", "value"] == 0.45
    assert found["tollgate_quality_decisions", "provisional"] == 2000
    assert found["tollgate_quality_below_promise", "precision"] == 1
    assert found["tollgate_quality_below_promise", "recall"] == 1
    assert found[("tollgate_quality_label_delay_seconds",)] == WEEK_S
    assert found.keys() == samples(make_client(MemoryLedger(gateway, []))).keys()


class DownLedger(MemoryLedger):
    def quality_state(self) -> QualityState | None:
        raise LedgerUnavailable("the database does not answer", retry_after_s=1)


def test_a_ledger_that_is_down_fails_the_page_and_not_the_scrape(
    make_client: Callable[..., FlaskClient], gateway: MemoryGateway
) -> None:
    client = make_client(DownLedger(gateway, []))

    assert_problem(client.get("/quality"), 503, "ledger_unavailable")
    assert client.get("/metrics", headers={"Accept": "application/json"}).json["quality"] == {
        "unavailable": "the database does not answer"
    }
    assert set(samples(client).values()) == {0.0}


def test_a_far_past_day_is_no_obstacle(make_client: Callable[..., FlaskClient], gateway: MemoryGateway) -> None:
    old = MemoryLedger(gateway, [], cells=[cell(0, day="0001-01-02")], state=STATE)

    (line,) = make_client(old).get("/quality?by=week").json["groups"]

    assert line["group"] == "0001-01-01"
