"""Demo traffic: bodies that the API takes, labels that follow, and honest counts of what came back."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

from config.schema.load import load_schema
from config.schema.model import Field, Roles, Schema
from config.schema.validate import compile_validator
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import load_settings
from deploy.commands import demo, simulate
from deploy.traffic.client import JsonClient, Reply, Unreachable
from deploy.traffic.driver import Driver, Pace
from deploy.traffic.own_system import EAGER, OwnSystem
from deploy.traffic.payments import SEED_FORM, Mix, Payment, endless_payments, recent_payments
from deploy.traffic.tally import Tally
from deploy.traffic.view import status_line, summary
from ml.training.data import read_data

PAYMENT = load_schema(Path(DEFAULT_SCHEMA))
START = datetime(2026, 2, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _be_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.traffic.payments.CHUNK_PAYMENTS", 1000)
    monkeypatch.setattr("deploy.traffic.driver.POLL_EVERY_S", 0.01)
    monkeypatch.setattr("deploy.traffic.driver.TICK_S", 0.005)
    monkeypatch.setattr("deploy.traffic.driver.FILE_POLL_S", 0.01)
    monkeypatch.setattr("deploy.traffic.driver.UPLOAD_ROWS", 60)


def traffic(count: int, schema: Schema = PAYMENT, **mix: float) -> list[Payment]:
    shares = {"per_day": 400.0, "fraud_share": 0.1} | mix
    payments = endless_payments(schema, Mix(**shares), np.random.default_rng(7), start_at=START, run="demo-1")
    return list(itertools.islice(payments, count))


class Server:
    """Stands in for a running Tollgate: approves small payments, declines large ones, accepts some for later."""

    def __init__(self) -> None:
        self.labels: list[tuple[str, dict[str, Any]]] = []
        self.files: list[tuple[str, list[dict[str, Any]]]] = []
        self.predictions = 0
        self.looks = 0
        self.is_down = False
        self.overloads = 0
        self._decided: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def post(self, path: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> Reply:
        if self.is_down:
            raise Unreachable("connection refused")
        with self._lock:
            if path.startswith("/feedback"):
                self.labels.append((path, body))
                return Reply(202, {}, 1.0)
            return self._predict(body, headers or {})

    def post_lines(self, path: str, rows: list[dict[str, Any]]) -> Reply:
        self.files.append((path, rows))
        return Reply(202, {"id": "b1"}, 1.0)

    def get(self, path: str) -> Reply:
        if path.startswith("/batches/"):
            self.looks += 1
            return Reply(200, {"status": "running" if self.looks == 1 else "completed"}, 1.0)
        return Reply(200, self._decided[path.removeprefix("/predictions/")], 1.0)

    def _predict(self, body: dict[str, Any], headers: dict[str, str]) -> Reply:
        if self.overloads > 0:
            self.overloads -= 1
            return Reply(503, {"code": "overloaded"}, 1.0, retry_after_s=0.0)
        self.predictions += 1
        transaction_id = body.get("transaction_id", f"made-{self.predictions}")
        action = "decline" if body["amount"] > 200 else "approve"
        decision = {"decision_id": f"d-{transaction_id}", "transaction_id": transaction_id, "action": action}
        self._decided[transaction_id] = decision
        if headers.get("Prefer") == "respond-async":
            return Reply(202, {"transaction_id": transaction_id}, 1.0)
        return Reply(200, decision, 2.0)


def drive(
    server: Server, payments: Iterator[Payment], *, until: Callable[[Driver], bool], uploads: Iterable[Payment] = ()
) -> Driver:
    pace = Pace(rate=4000, label_delay_s=0.01, connections=4, upload_every_s=0.01)
    driver = Driver(server, payments, pace, np.random.default_rng(1), uploads=uploads)  # type: ignore[arg-type]
    give_up_at = time.monotonic() + 10

    def on_tick() -> None:
        if until(driver) or time.monotonic() > give_up_at:
            driver.stop.set()

    driver.run(on_tick)
    assert until(driver), "the traffic did not get there"
    return driver


def test_a_system_of_its_own_that_has_ended_is_said_with_its_exit_code() -> None:
    ended = SimpleNamespace(poll=lambda: 2)

    with pytest.raises(click.ClickException, match=r"did not start \(exit code 2\)"):
        OwnSystem(ended).require_running()  # type: ignore[arg-type]


def test_every_body_passes_the_validation_of_the_api() -> None:
    validator = compile_validator(PAYMENT)
    payments = traffic(800)
    for payment in payments:
        validator.validate(payment.body)
    forms = [tuple(payment.body) == SEED_FORM for payment in payments]
    assert forms == [payment.form == "seed" for payment in payments]
    assert 0.03 < np.mean(forms) < 0.2


def test_a_schema_of_other_columns_gets_traffic_too() -> None:
    fields = (Field("a", "number"), Field("b", "integer", min=0, max=3), Field("c", "category", nullable=True))
    schema = Schema("other", 1, (*fields, Field("id", "id", model=False)), Roles(transaction_id="id"))
    payments = traffic(300, schema)
    assert len({payment.body["id"] for payment in payments}) == 300
    assert {payment.form for payment in payments} == {"raw"}
    assert [payment.event_at for payment in payments] == sorted(payment.event_at for payment in payments)


def test_ids_differ_between_runs_and_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.traffic.payments.CHUNK_PAYMENTS", 400)
    ids = [payment.body["transaction_id"] for payment in traffic(1000, seed_form_share=0.0)]
    assert len(set(ids)) == 1000
    assert ids[0] == "demo-1-0-000000001"
    accounts = {payment.body["account_id"] for payment in traffic(10, seed_form_share=0.0)}
    assert all(account.startswith("demo-1-acc-") for account in accounts)


def test_time_goes_on_from_chunk_to_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.traffic.payments.CHUNK_PAYMENTS", 400)
    moments = [payment.event_at for payment in traffic(1000)]
    assert moments == sorted(moments)


def test_recent_payments_begin_again_of_other_accounts_where_they_have_caught_up() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    rng = np.random.default_rng(7)
    endless = recent_payments(PAYMENT, Mix(per_day=100.0), rng, days=2, run="demo-1", now=lambda: now)

    payments = list(itertools.islice(endless, 500))

    assert all(now - timedelta(days=2) <= payment.event_at < now for payment in payments)
    laps = {str(one.body["account_id"]).split("-acc-")[0] for one in payments if "account_id" in one.body}
    assert {"demo-1-0", "demo-1-1"} <= laps


def test_files_go_beside_the_payments_and_their_frauds_are_labelled_once_they_are_decided() -> None:
    server = Server()
    rows = traffic(120, seed_form_share=0.0)
    driver = drive(
        server,
        iter(traffic(50)),
        uploads=rows,
        until=lambda driver: driver.tally.uploads == 2 and not driver.waiting_labels,
    )
    assert [(path, len(lines)) for path, lines in server.files] == [("/batches", 60), ("/batches", 60)]
    named = {body.get("transaction_id") for _, body in server.labels} - {None}
    frauds = {payment.body["transaction_id"] for payment in rows if payment.is_fraud}
    assert frauds <= named
    assert server.looks == 3
    assert not driver.tally.refused


def test_every_payment_is_sent_and_every_fraud_labelled() -> None:
    server = Server()
    payments = traffic(300)
    frauds = sum(payment.is_fraud for payment in payments)
    driver = drive(
        server, iter(payments), until=lambda driver: driver.tally.decided == 300 and driver.waiting_labels == 0
    )
    tally = driver.tally
    assert (tally.sent, server.predictions, tally.unreachable, dict(tally.refused)) == (300, 300, 0, {})
    assert tally.accepted == tally.polled == sum(payment.prefers_async for payment in payments) > 0
    told = [body.get("is_fraud", path.endswith("=true")) for path, body in server.labels]
    assert sum(told) == frauds
    assert tally.labels == len(server.labels) < 300


def test_labels_name_the_decision_or_repeat_the_content() -> None:
    server = Server()
    drive(server, iter(traffic(300)), until=lambda driver: driver.tally.decided == 300 and not driver.waiting_labels)
    by_id = [body for path, body in server.labels if path == "/feedback"]
    by_content = [body for path, body in server.labels if "actual_label" in path]
    assert by_id
    assert by_content
    assert all(set(body) == {"decision_id", "is_fraud", "source", "known_at"} for body in by_id)
    assert all(datetime.fromisoformat(body["known_at"]).utcoffset() is not None for body in by_id)
    assert all(tuple(body) == SEED_FORM for body in by_content)


def test_traffic_goes_on_when_nothing_answers() -> None:
    server = Server()
    server.is_down = True
    driver = drive(server, iter(traffic(100)), until=lambda driver: driver.tally.unreachable == 100)
    assert (driver.tally.sent, driver.tally.decided) == (100, 0)


def test_what_an_overloaded_server_refuses_is_sent_again() -> None:
    server = Server()
    server.overloads = 3
    driver = drive(server, iter(traffic(50)), until=lambda driver: driver.tally.decided == 50)
    assert (driver.tally.sent, driver.tally.retried, dict(driver.tally.refused)) == (50, 3, {})


def test_a_server_that_stays_overloaded_is_told_as_a_refusal() -> None:
    server = Server()
    server.overloads = 10_000
    driver = drive(server, iter(traffic(5)), until=lambda driver: driver.tally.refused[503] == 5)
    assert (driver.tally.sent, driver.tally.retried) == (5, 15)


def test_the_tally_says_how_much_fraud_was_stopped() -> None:
    tally = Tally()
    for is_fraud, action, count in (
        (True, "decline", 3),
        (True, "approve", 1),
        (False, "review", 1),
        (False, "approve", 9),
    ):
        for _ in range(count):
            tally.count_decision(is_fraud, action, took_ms=10.0 * count)
    assert (tally.stopped_share(is_fraud=True), tally.stopped_share(is_fraud=False)) == (0.75, pytest.approx(0.1))
    assert (tally.latency_ms(0.0), tally.latency_ms(0.99)) == (10.0, 90.0)
    assert "declined 3" in status_line(tally, 2, 1.0).plain
    assert summary(tally, 2, 1.0).row_count > 5


def test_an_empty_tally_can_be_shown() -> None:
    assert "p50 -" in status_line(Tally(), 0, 0.0).plain
    assert Tally().stopped_share(is_fraud=True) is None


def test_the_demo_says_when_nothing_is_there() -> None:
    result = CliRunner().invoke(demo.command, ["--url", "http://127.0.0.1:1", "--duration", "1"])
    assert result.exit_code == 1
    assert "http://127.0.0.1:1" in result.output
    assert "make run" in result.output


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host", ""])
def test_an_address_that_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not an http"):
        JsonClient(url)


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_simulated_files_can_be_trained_on(tmp_path: Path, name: str) -> None:
    arguments = ["--rows", "300", "--out", str(tmp_path / name), "--fraud-share", "0.1"]
    result = CliRunner().invoke(simulate.command, arguments)
    assert result.exit_code == 0, result.output
    assert "300 transactions of schema payment, 10.00% fraud" in result.output
    data = read_data(tmp_path / name, PAYMENT)
    assert (len(data.frame), data.y.sum()) == (300, 30)


def test_simulated_lines_can_be_posted(tmp_path: Path) -> None:
    out = tmp_path / "out.ndjson"
    result = CliRunner().invoke(simulate.command, ["--rows", "40", "--out", str(out)])
    assert result.exit_code == 0, result.output
    validator = compile_validator(PAYMENT)
    for line in out.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        assert (row.pop("is_fraud"), row.pop("known_at")) > (-1, "2026")
        validator.validate(row)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "out.xls"], "must end in .csv"),
        (["--out", "nowhere/out.csv"], "there is no directory"),
        (["--out", "out.csv", "--schema", "card.toml", "--pattern"], "need a schema with the fields"),
    ],
)
def test_what_cannot_be_simulated_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "card.toml").write_text(Path(DEFAULT_SCHEMA).with_name("card.toml").read_text(encoding="utf-8"))
    result = CliRunner().invoke(simulate.command, ["--rows", "10", *arguments])
    assert result.exit_code == 2
    assert message in result.output


def test_a_system_that_the_demo_starts_takes_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in EAGER.items():
        monkeypatch.setenv(name, value)

    assert {load_settings().quality_roll_up_s, load_settings().drift_interval_s} == {15}
