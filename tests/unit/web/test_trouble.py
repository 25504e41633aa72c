"""What is wrong now: said first, in words, and by the same limits as the alerts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from flask import Flask

from config.errors import BrokerUnavailable, LedgerUnavailable
from deploy.prometheus.rule import Times
from deploy.prometheus.rules import ALERTS
from tests.web_app import serving
from web.memory_gateway import MemoryGateway
from web.memory_ledger import MemoryLedger
from web.ports.gateway import Health
from web.trouble import BROKER_FULL, LIMITS, MOST_SKEW_S, troubles

CHAMPION = {"model_version": "m1", "digest": "d" * 64}
WELL = Health(is_ready=True, is_broker_up=True, champion=CHAMPION, workers=[serving("scoring-1")])
SEVERITIES = {alert.name: alert.severity for alert in ALERTS}
EXPRESSIONS = {alert.name: alert.expression(Times()) for alert in ALERTS}


def found(health: Health = WELL, *, is_ledger_up: bool = True, **queues: float) -> list[str]:
    told = troubles(health, queues, is_ledger_up=is_ledger_up)
    assert [one.severity for one in told] == [SEVERITIES[one.alert] for one in told]
    return [one.alert for one in told]


def but(**changed: Any) -> Health:
    fields = {name: getattr(WELL, name) for name in ("is_ready", "is_broker_up", "champion", "workers")}
    return Health(**{**fields, **changed})


def test_a_system_that_is_well_has_no_troubles() -> None:
    assert found(queue_oldest_age_s_score=0.5, canary_latency_s=0.02, dead_letters=0.0) == []


@pytest.mark.parametrize(
    ("health", "alert"),
    [
        (but(is_ready=False, is_broker_up=False, champion=None, workers=[]), "TollgateBrokerDown"),
        (but(is_ready=False, champion=None, workers=[]), "TollgateNoWorkers"),
        (but(is_ready=False, workers=[]), "TollgateNoWorkers"),
        (but(is_ready=False), "TollgateNotReady"),
        (but(workers=[serving("scoring-1"), serving("scoring-2", "refused")]), "TollgateReloadRefused"),
        (
            but(workers=[msgspec.structs.replace(serving("scoring-1"), digest="e" * 64)]),
            "TollgateModelVersionMismatch",
        ),
    ],
)
def test_what_keeps_payments_from_being_scored_is_named(health: Health, alert: str) -> None:
    assert found(health) == [alert]


def test_what_is_worst_comes_first() -> None:
    nobody = but(is_ready=False, workers=[])

    queues = {"queue_oldest_age_s_score": 30.0, "dead_letters": 2.0, "canary_latency_s": 0.6}
    assert found(nobody, is_ledger_up=False, **queues) == [
        "TollgateNoWorkers", "TollgateLedgerDown", "TollgateScoreQueueOld", "TollgateDeadLetters",
    ]  # fmt: skip


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.key)
def test_every_limit_is_the_one_of_its_alert(limit: Any) -> None:
    assert f"> {limit.most:g} and" in f"{EXPRESSIONS[limit.alert]} and"
    assert found(**{limit.key: limit.most}) == []
    [one] = troubles(WELL, {limit.key: limit.most + 1}, is_ledger_up=True)
    assert f"{limit.most + 1:g}" in one.what
    assert one.severity == SEVERITIES[one.alert]


def test_a_broker_that_fills_up_is_said_at_the_limit_of_its_alert() -> None:
    assert EXPRESSIONS["TollgateBrokerMemory"].endswith(f"> {BROKER_FULL:g}")
    assert found(broker_memory_bytes=81.0, broker_memory_limit_bytes=100.0) == ["TollgateBrokerMemory"]
    assert found(broker_memory_bytes=0.0, broker_memory_limit_bytes=0.0) == []


def test_a_clock_that_is_wrong_is_said_at_the_limit_of_its_alert() -> None:
    ahead, right = (msgspec.structs.replace(serving("scoring-1"), clock_skew_ms=ms) for ms in (-3000.0, 400.0))

    assert EXPRESSIONS["TollgateClockSkew"].endswith(f"> {MOST_SKEW_S:g}")
    assert [one.what for one in troubles(but(workers=[ahead, right]), {}, is_ledger_up=True)] == [
        "The clock of scoring-1 is 3.0 s ahead."
    ]


def test_every_page_for_people_begins_with_what_is_wrong(
    make_app: Callable[..., Flask], gateway: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: MemoryLedger) -> Any:
        raise LedgerUnavailable("the database is gone")

    client = make_app().test_client()
    assert client.get("/metrics").text.startswith("wrong: nothing\nnow:\n")
    assert client.get("/console/live").json["wrong"] == []
    assert "Nothing is wrong." in client.get("/metrics", headers={"Accept": "text/html"}).text

    monkeypatch.setattr(MemoryLedger, "summary", gone)
    monkeypatch.setattr(MemoryLedger, "pulse", gone)
    gateway.failure = BrokerUnavailable("the broker is gone")
    fresh = make_app().test_client()

    first, second, third, *_ = fresh.get("/metrics").text.splitlines()
    assert first == "wrong: 2, see docs/RUNBOOK.md"
    assert (second.endswith("(TollgateBrokerDown)"), third.endswith("(TollgateLedgerDown)")) == (True, True)
    told = fresh.get("/metrics", headers={"Accept": "application/json"}).json["wrong"]
    assert [one["alert"] for one in told] == ["TollgateBrokerDown", "TollgateLedgerDown"]
    assert fresh.get("/console/live").json["wrong"] == told
    for page in ("/console", "/console/operations"):
        assert "Runbook: TollgateLedgerDown" in fresh.get(page, headers={"Accept": "text/html"}).text
    overview = fresh.get("/console/live").json
    assert (overview["inbox"], overview["dead_letters"], overview["now"]["refused"]) == (None, None, None)
