"""What the launcher gives its children, and what it prints when they run."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from config.schema.load import load_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from deploy.commands.up import absolute
from deploy.launcher import processes
from deploy.launcher.banner import banner, curl, transaction

SEED_CURL = (
    'curl -X POST "http://localhost:8000/predict" -H "Content-Type: application/json" -d '
    "'"
    '{"amount": 1500.0, "hour": 3, "day_of_week": 1, "merchant_category": "online", "previous_amount": 50.0,'
    ' "time_since_last": 0.5}'
    "'"
)
CARD_SCHEMA = DEFAULT_SCHEMA.with_name("card.toml")


def test_children_read_back_exactly_the_launchers_settings(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    settings = absolute(Settings(port=8123, redis_port=7001, explain_above=0.25, mlflow_enabled=False))

    for name, value in processes.environment(settings, {}).items():
        monkeypatch.setenv(name, value)

    assert Settings() == settings


def test_children_run_one_thread_per_numeric_library() -> None:
    given = processes.environment(Settings(), {"OMP_NUM_THREADS": "8", "PATH": "/bin"})

    assert given["OMP_NUM_THREADS"] == given["OPENBLAS_NUM_THREADS"] == "1"
    assert given["PATH"] == "/bin"


def test_no_child_depends_on_the_directory_that_it_runs_in() -> None:
    settings = absolute(Settings())

    assert settings.data_dir == Path(".tollgate").resolve()
    assert settings.database_url == f"sqlite:///{Path('.tollgate/ledger.db').resolve()}"


def test_another_database_is_left_as_it_is() -> None:
    url = "postgresql+psycopg://tollgate@db/tollgate"

    assert absolute(Settings(database_url=url)).database_url == url


def test_the_brokers_password_is_on_no_command_line() -> None:
    settings = Settings(redis_url="redis://:hunter2@broker:6379/0")

    started = [processes.web(settings), processes.celery_exporter(settings), processes.scoring(1), processes.beat()]

    assert not any("hunter2" in word for process in started for word in process.argv)


def test_the_embedded_broker_listens_on_loopback_only_and_keeps_everything() -> None:
    flags = processes.valkey_flags(Settings())
    pairs = dict(zip(flags[::2], flags[1::2], strict=True))

    assert pairs["--bind"] == "127.0.0.1"
    assert pairs["--appendonly"] == "yes"
    assert pairs["--appendfsync"] == "always"
    assert pairs["--maxmemory-policy"] == "noeviction"


def test_the_request_to_paste_is_the_documented_one_for_the_default_schema() -> None:
    settings = absolute(Settings())

    text = banner(settings, load_schema(settings.schema_file), seconds=3.0)

    assert SEED_CURL in text
    assert "http://localhost:8000/docs" in text
    assert "Ctrl-C" in text


def test_the_request_to_paste_follows_another_schema_and_another_port() -> None:
    settings = absolute(Settings(schema_file=CARD_SCHEMA, port=8123))
    schema = load_schema(CARD_SCHEMA)

    words = shlex.split(curl("http://localhost:8123", transaction(settings, schema)))

    assert words[3] == "http://localhost:8123/predict"
    assert set(json.loads(words[-1])) <= set(schema.by_name or {field.name for field in schema.fields})


def test_a_body_with_a_quote_is_still_one_shell_word() -> None:
    words = shlex.split(curl("http://localhost:8000", {"merchant": "O'Neill"}))

    assert json.loads(words[-1]) == {"merchant": "O'Neill"}


def test_every_worker_whose_pool_keeps_no_time_limits_is_watched() -> None:
    workers = [processes.scoring(1), processes.bulk(1), processes.background(), processes.training()]

    pools = {process.name: process.argv[process.argv.index("--pool") + 1] for process in workers}
    assert {process.name for process in workers if process.worker} == {n for n, pool in pools.items() if pool == "solo"}
