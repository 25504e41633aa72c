"""`tollgate forget` on a real broker and a ledger: its history is gone, its decisions are about nobody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click.testing
import pytest
from redis import Redis

from config import names
from config.schema.load import load_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from deploy.cli import main
from ml.features.spec import FeatureSpec
from ml.ledger import Ledger
from tests.ledger_entries import SCHEMA, entry

Run = Callable[..., click.testing.Result]


@pytest.fixture
def run(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("TOLLGATE_REDIS_URL", redis_url)
    monkeypatch.setenv("TOLLGATE_DATABASE_URL", f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=SCHEMA)
    ledger.migrate()
    ledger.store([*map(entry, range(4)), entry(5, transaction_id="acme\x1ft-5")])
    ledger.close()
    return lambda *arguments, **more: click.testing.CliRunner().invoke(main, ["forget", *arguments], **more)


def test_an_account_is_forgotten_everywhere_and_its_neighbour_is_not(run: Run, redis_client: Redis) -> None:
    spec = FeatureSpec.from_schema(load_schema(DEFAULT_SCHEMA)).entities[0]
    for account in ("account-0", "account-1"):
        redis_client.set(names.history_key("account", spec.record, account), b"log")
        redis_client.set(names.labels_key("account", account), b"log")
    redis_client.xadd(names.JOURNAL, {"e": b"on its way"})

    result = run("account", "account-1", "--yes")

    assert result.exit_code == 0, result.output
    assert "ledger: 2 decisions and 0 labels" in result.output
    assert "history: 2 logs deleted" in result.output
    assert "1 payments are on their way" in result.output
    left = [key for key in redis_client.keys("*account-*") if b"account-1" in key]
    assert (left, len(redis_client.keys("*account-0"))) == ([], 2)


def test_a_tenants_account_is_forgotten_and_its_namesake_stays(run: Run, redis_client: Redis) -> None:
    spec = FeatureSpec.from_schema(load_schema(DEFAULT_SCHEMA)).entities[0]
    for account in ("account-1", "acme\x1faccount-1"):
        redis_client.set(names.history_key("account", spec.record, account), b"log")

    result = run("account", "account-1", "--yes", "--tenant", "acme")

    assert "ledger: 1 decisions and 0 labels" in result.output
    assert "history: 1 logs deleted" in result.output
    assert redis_client.exists(names.history_key("account", spec.record, "account-1"))
    assert run("account", "account-1", "--yes", "--tenant", "Acme!").exit_code == 2


def test_nothing_happens_unasked_or_to_what_is_no_entity(run: Run) -> None:
    assert run("account", "account-1", input="n\n").exit_code == 1
    assert run("customer", "account-1", "--yes").exit_code == 2
    assert "ledger: 2 decisions" in run("account", "account-1", "--yes").output
