"""GET /prometheus against the catalogue: all of it from the first scrape, nothing else, and never without bound."""

from __future__ import annotations

from collections import Counter as CountOf
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from config.errors import BrokerUnavailable
from config.metrics.catalogue import CATALOGUE, series_names
from config.metrics.metric import Metric
from tests.unit.web.test_web_metrics import samples, value
from tests.web_app import serving
from web.memory_gateway import MemoryGateway
from web.remembered import Remembered


@pytest.fixture
def client(make_app: Callable[..., Flask]) -> FlaskClient:
    """Of an app whose counters are at 0."""
    return make_app().test_client()


def exported(client: FlaskClient) -> dict[str, set[tuple[str, ...]]]:
    """Series name -> its label combinations, in the catalogue's order of labels, buckets not told apart."""
    labels_of = {name: metric.label_names for metric in CATALOGUE for name in series_names(metric)}
    found: dict[str, set[tuple[str, ...]]] = {}
    for family in text_string_to_metric_families(client.get("/prometheus").text):
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                combination = tuple(sample.labels[name] for name in labels_of[sample.name])
                found.setdefault(sample.name, set()).add(combination)
    return found


def missing(metric: Metric, found: dict[str, set[tuple[str, ...]]]) -> list[str]:
    """What should be there from the first scrape and is not. A metric with an open label has no such series."""
    return [
        f"{name}{list(values)}"
        for name in series_names(metric)
        for values in metric.declared()
        if values not in found.get(name, set())
    ]


def test_every_declared_series_is_in_the_first_scrape_and_nothing_else(client: FlaskClient) -> None:
    found = exported(client)  # a KeyError here: exported, and not in the catalogue

    assert [series for metric in CATALOGUE for series in missing(metric, found)] == []
    assert {metric.name for metric in CATALOGUE if not found.keys() & set(series_names(metric))} == set()


def test_what_nothing_can_be_named_of_yet_is_there_as_0(client: FlaskClient, gateway: MemoryGateway) -> None:
    gateway.workers = []

    found = samples(client.get("/prometheus").text)

    nobody = dict.fromkeys(("worker", "role", "model_version", "digest"), "none")
    assert value(found, "tollgate_model_version_info", **nobody) == 0
    assert value(found, "tollgate_drift_feature_psi", feature="none") == 0


def test_series_are_the_same_while_the_broker_is_down(client: FlaskClient, gateway: MemoryGateway) -> None:
    gateway.failure = BrokerUnavailable()

    found = exported(client)

    assert [series for metric in CATALOGUE for series in missing(metric, found)] == []
    down = samples(client.get("/prometheus").text)
    assert value(down, "tollgate_shared_state_up") == 0
    assert value(down, "tollgate_ledger_up") == 1


def test_many_workers_many_versions_and_hostile_requests_keep_the_series_bounded(
    client: FlaskClient, gateway: MemoryGateway
) -> None:
    gateway.workers = [
        msgspec.structs.replace(
            serving(f"scoring-{number}"),
            model_version=f"m{number % 300}",
            digest=f"{number:064x}",
            status=f"status {number}",
        )
        for number in range(1000)
    ]
    gateway.drift = {f"psi:column {number}": 1.0 for number in range(100)}
    for number in range(100):
        client.get(f"/{number}", headers={"X-Request-Id": str(number)})
        client.open(f"/predictions/{number}", method=f"METHOD{number}")
        client.get(f"/decisions?action={number}")

    found = exported(client)

    for metric in CATALOGUE:
        for name in series_names(metric):
            assert len(found[name]) <= metric.most_series, name
    assert len(found["tollgate_workers"]) <= 4 + 21
    assert len(found["tollgate_model_version_info"]) == 200
    endpoints = CountOf(endpoint for endpoint, _ in found["tollgate_requests_total"])
    assert not [endpoint for endpoint in endpoints if any(character.isdigit() for character in endpoint)]


def test_a_scoring_fleet_that_is_gone_is_a_zero_and_not_a_gap(client: FlaskClient, gateway: MemoryGateway) -> None:
    gateway.workers = [replace_role(serving("bulk-1"), "bulk")]

    found = samples(client.get("/prometheus").text)

    assert value(found, "tollgate_workers", role="scoring", model_version="none") == 0
    assert value(found, "tollgate_workers", role="bulk", model_version="m1") == 1


def replace_role(report: object, role: str) -> object:
    return msgspec.structs.replace(report, role=role)


def test_workers_that_refuse_or_serve_another_model_are_counted(
    client: FlaskClient, gateway: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = msgspec.structs.replace(serving("b", "refused"), digest="e" * 64, clock_skew_ms=-2500.0)
    gateway.workers = [serving("a"), other]
    health = replace(gateway.health(), champion={"model_version": "m1", "digest": "d" * 64})
    monkeypatch.setattr(MemoryGateway, "health", lambda _, wait: health)

    found = samples(client.get("/prometheus").text)

    assert value(found, "tollgate_workers_mismatched") == 1
    assert value(found, "tollgate_model_workers", status="refused") == 1
    assert value(found, "tollgate_model_workers", status="serving") == 1
    assert value(found, "tollgate_clock_skew_seconds", worker="b") == -2.5
    labels = {"worker": "b", "role": "scoring", "model_version": "m1", "digest": "e" * 12}
    assert value(found, "tollgate_model_version_info", **labels) == 1


def test_the_fraud_rate_of_the_newest_decisions_is_exported(
    client: FlaskClient, predict: Callable[..., object], gateway: MemoryGateway
) -> None:
    for amount in (1500, 20, 30, 40):
        predict(amount=amount)

    assert value(samples(client.get("/prometheus").text), "tollgate_fraud_rate") == 0.25


def test_what_is_remembered_is_read_once_in_a_lifetime() -> None:
    reads: list[int] = []
    now = [0.0]

    def read() -> int:
        reads.append(len(reads))
        return len(reads)

    remembered = Remembered(read, 1.0, clock=lambda: now[0])

    assert [remembered(), remembered()] == [1, 1]
    now[0] = 1.0
    assert remembered() == 2
