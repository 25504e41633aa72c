"""Groups of cells: what is matured, what is provisional, what was promised."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ml.quality.cells import Cell, end_of, is_matured
from ml.quality.promise import falls_short, promise_of
from ml.quality.ratio import Figure, Ratio, counted
from ml.quality.summary import QualityGroup, summarise

NOW = datetime(2026, 3, 10, tzinfo=UTC)
WEEK_S = 7 * 86_400.0
REPORT: dict[str, Any] = {
    "test": {
        "k": 100,
        "base_rate": 0.02,
        "precision_at_k": 0.5,
        "card_precision_at_k": {"mean": 0.25, "ceiling": 0.5, "days": 10},
        "outcome": {"n": 10_000, "declined": 150, "reviewed": 50, "missed_fraud": 80, "refused_good": 50},
    }
}


def cell(day: str, *, dimension: Any = "all", value: str = "", n: int = 1000, **ratios: Ratio) -> Cell:
    return Cell(
        day=day,
        dimension=dimension,
        value=value,
        decisions=n,
        labelled=20,
        frauds=10,
        fraud_amount=500.0,
        explored=0,
        measures={"precision": counted(6, 12), "recall": counted(6, 10), **ratios},
        estimates={"precision": Ratio(9.0, 12.0, 12.0, 9.0, 12.0, 12)} if day < "2026-03-08" else None,
    )


def promises(_version: str) -> Mapping[str, Figure]:
    return promise_of(REPORT, k=100)


def groups(cells: list[Cell], by: Any = "day", **options: Any) -> dict[str, QualityGroup]:
    found = summarise(cells, by, delay_s=WEEK_S, now=NOW, promises=promises, **options)
    return {group.group: group for group in found}


def test_a_day_is_matured_once_its_last_label_would_be_there() -> None:
    found = groups([cell("2026-03-02"), cell("2026-03-03"), cell("2026-03-09")])

    assert {day: group.maturity for day, group in found.items()} == {
        "2026-03-02": "matured",
        "2026-03-03": "provisional",
        "2026-03-09": "provisional",
    }
    assert found["2026-03-02"].provisional is None
    assert found["2026-03-03"].matured is None


def test_what_is_on_its_way_is_estimated_beside_what_is_known() -> None:
    found = groups([cell("2026-03-05"), cell("2026-03-09")])

    known, estimated = found["2026-03-05"].provisional, found["2026-03-05"].estimate
    assert known is not None
    assert estimated is not None
    assert known.measures["precision"].value == 0.5
    assert estimated["precision"].value == 0.75
    assert found["2026-03-09"].estimate is None


def test_a_week_adds_its_days_up_and_keeps_the_young_ones_apart() -> None:
    week = groups([cell("2026-03-02"), cell("2026-03-08"), cell("2026-03-09")], "week")["2026-03-02"]

    assert (week.maturity, week.decisions) == ("mixed", 2000)
    assert week.matured is not None
    assert (week.matured.decisions, week.matured.frauds, week.matured.fraud_amount) == (1000, 10, 500.0)


def test_a_model_version_is_held_to_its_own_promise() -> None:
    bad = cell("2026-02-01", dimension="model_version", value="m1", precision=counted(100, 400))
    good = cell("2026-02-01", dimension="model_version", value="m2", precision=counted(250, 400))

    found = groups([bad, good], "model_version")

    assert found["m1"].promised_by == "m1"
    assert found["m1"].promise["precision"].is_below_promise
    assert found["m1"].is_below_promise
    assert not found["m2"].promise["precision"].is_below_promise


def test_a_day_is_held_to_the_promise_of_the_model_that_decided_most() -> None:
    versions = [
        cell("2026-02-01", dimension="model_version", value="old", n=400),
        cell("2026-02-01", dimension="model_version", value="new", n=600),
    ]

    assert groups([cell("2026-02-01")], versions=versions)["2026-02-01"].promised_by == "new"
    assert groups([cell("2026-02-01")])["2026-02-01"].promise == {}


def test_provisional_figures_are_held_to_nothing() -> None:
    versions = [cell("2026-03-09", dimension="model_version", value="m1")]

    assert groups([cell("2026-03-09", precision=counted(0, 500))], versions=versions)["2026-03-09"].promise == {}


def test_the_promise_is_that_of_the_test_window() -> None:
    # 200 frauds of 10,000; 200 alerts of which 120 are fraud; 80 good ones alerted.
    promised = promise_of(REPORT, k=100)

    assert promised["recall"].value == 120 / 200
    assert promised["precision"].value == 120 / 200
    assert promised["decline_precision"].value == 100 / 150
    assert promised["false_positive_rate"].value == 80 / 9_800
    assert promised["accuracy"].value == (10_000 - 80 - 80) / 10_000
    assert promised["precision_at_k"].value == 0.5
    assert promised["card_precision_at_k"].value == 0.25
    assert promised["card_precision_at_k"].low < 0.25 < promised["card_precision_at_k"].high


def test_another_k_is_another_measure() -> None:
    assert "precision_at_k" not in promise_of(REPORT, k=50)


@pytest.mark.parametrize("report", [{}, {"test": None}, {"test": {"outcome": {}}}, {"test": {"base_rate": None}}])
def test_a_report_without_figures_promises_nothing(report: dict[str, Any]) -> None:
    assert promise_of(report, k=100) == {}


def test_falling_short_takes_the_whole_interval() -> None:
    promised = Figure(0.6, 0.5, 0.7)

    assert falls_short("precision", Figure(0.4, 0.35, 0.49), promised)
    assert not falls_short("precision", Figure(0.4, 0.3, 0.51), promised)
    assert falls_short("false_positive_rate", Figure(0.8, 0.71, 0.9), promised)
    assert not falls_short("false_positive_rate", Figure(0.2, 0.1, 0.3), promised)


def test_the_end_of_the_calendar_is_a_day_like_any_other() -> None:
    assert end_of("9999-12-31").year == 9999
    assert not is_matured("9999-12-31", 0.0, NOW)
    assert is_matured("0001-01-01", 86_400.0 * 365, NOW)
    assert end_of("2026-03-01") - timedelta(days=1) == datetime(2026, 3, 1, tzinfo=UTC)
