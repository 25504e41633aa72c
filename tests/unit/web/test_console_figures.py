"""/console/quality, /console/thresholds, /console/drift: what is shown of reports, and what is said without any."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from config.schema.model import Schema
from config.schema.validate import Validator
from config.settings import Settings
from tests.unit.web.console_browser import text_of, visit
from tests.unit.web.test_drift import stored
from tests.unit.web.test_quality import CELLS, STATE, cell, day
from tests.web_app import JSON, assert_problem, build_app
from web.console.drift import drawn_columns
from web.memory_gateway import MemoryGateway
from web.memory_ledger import MemoryLedger


@pytest.fixture
def make_client(
    settings: Settings, gateway: MemoryGateway, schema: Schema, validator: Validator
) -> Callable[..., FlaskClient]:
    def make(**shown: Any) -> FlaskClient:
        ledger = MemoryLedger(gateway, [], **shown)
        return visit(build_app(settings, gateway, schema, validator, ledger=ledger))

    return make


def curves_of(text: str) -> Any:
    found = re.search(r'data-cohorts="([^"]+)"', text)
    assert found is not None
    return json.loads(html.unescape(found[1]))


def test_before_the_first_roll_up_quality_says_so(make_client: Callable[..., FlaskClient]) -> None:
    text = text_of(make_client().get("/console/quality"))

    assert "Nothing is rolled up yet" in text
    assert "data-cohorts" not in text


def test_days_are_curves_with_their_interval_and_where_they_become_provisional(
    make_client: Callable[..., FlaskClient],
) -> None:
    curves = curves_of(text_of(make_client(cells=CELLS, state=STATE).get("/console/quality")))

    assert curves["at_s"] == [_seconds(day(ago)) for ago in (40, 20, 3, 1)]
    assert curves["provisional_from_s"] == _seconds(day(3))
    precision = curves["measures"]["precision"]
    assert precision["value"] == [0.375] * 4
    assert all(low < 0.375 < high for low, high in zip(precision["low"], precision["high"], strict=True))
    assert precision["estimate"] == [None, None, pytest.approx(0.45), None]
    assert precision["promised"] == [None] * 4
    assert curves["measures"]["fraud_rate"]["value"] == [None] * 4, "nothing is known of it here"


def _seconds(text: str) -> int:
    return int(datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC).timestamp())


@pytest.mark.parametrize(("by", "lines"), [("model_version", ["m1"]), ("segment", ["online", "travel"])])
def test_models_and_segments_are_a_table_alone(
    make_client: Callable[..., FlaskClient], by: str, lines: Sequence[str]
) -> None:
    text = text_of(make_client(cells=CELLS, state=STATE).get(f"/console/quality?by={by}"))

    assert "data-cohorts" not in text
    assert all(f">{line}<" in text for line in lines)
    assert "38%" in text


def test_the_newest_day_is_on_top_and_said_to_be_provisional(make_client: Callable[..., FlaskClient]) -> None:
    text = text_of(make_client(cells=[cell(1), cell(20)], state=STATE).get("/console/quality?since=&until="))

    assert text.index(f'row">{day(1)}') < text.index(f'row">{day(20)}')
    assert text.index("provisional</span>") < text.index("matured</span>")


def test_a_grouping_that_cannot_be_is_refused(make_client: Callable[..., FlaskClient]) -> None:
    assert_problem(make_client().get("/console/quality?by=mood", headers={"Accept": JSON}), 422, "invalid_request")


def test_the_advisors_dials_begin_with_the_policy_files_costs(
    make_client: Callable[..., FlaskClient], settings: Settings
) -> None:
    (settings.data_dir / "policy.toml").write_text("[costs]\nrefusal = 33\n[reviewers]\nper_day = 40\n")

    text = text_of(make_client().get("/console/thresholds"))

    assert re.search(r'name="refusal"[^>]* value="33"', text)
    assert re.search(r'name="reviews_per_day"[^>]* value="40"', text)
    assert re.search(r'name="review_misses"[^>]* max="1.0" value="0.1"', text)


def test_a_policy_file_that_cannot_be_used_is_said(make_client: Callable[..., FlaskClient], settings: Settings) -> None:
    (settings.data_dir / "policy.toml").write_text("[costs]\nrefusal = -1\n")

    refused = make_client().get("/console/thresholds", headers={"Accept": "text/html"})

    assert (refused.status_code, "policy file" in refused.text) == (503, True)


def test_before_the_first_check_drift_says_so(make_client: Callable[..., FlaskClient]) -> None:
    assert "No check yet" in text_of(make_client().get("/console/drift"))


def test_the_newest_check_is_shown_and_an_earlier_one_by_its_number(make_client: Callable[..., FlaskClient]) -> None:
    asked = {**stored(2, is_compared=True), "has_asked": True}
    client = make_client(reports=[asked, stored(1, is_compared=False)])

    newest, earlier = text_of(client.get("/console/drift")), text_of(client.get("/console/drift/1"))

    assert "A challenger was asked for" in newest
    assert re.search(r'amount</th>\s*<td class="verdicts"><span class="mark mark-warn">.*moved', newest)
    assert newest.count("0.0% → 10.0%") == 1, "of what is a finding alone"
    assert 'src="/drift/2.png"' in newest
    assert "no reference" in earlier
    assert "amount: distribution." in earlier
    assert "Column by column" not in earlier
    assert_problem(client.get("/console/drift/9", headers={"Accept": JSON}), 404, "unknown_id")


def test_the_bars_of_a_column_are_shares_of_the_largest() -> None:
    score, amount, _ = drawn_columns(stored(1, is_compared=True)["report"])

    assert (score["name"], amount["name"]) == ("score", "amount")
    assert amount["bars"] == [
        {"x": 0.0, "width": 50.0, "reference": 100.0, "window": pytest.approx(55.6, abs=0.1)},
        {"x": 50.0, "width": 50.0, "reference": pytest.approx(11.1, abs=0.1), "window": pytest.approx(55.6, abs=0.1)},
    ]
