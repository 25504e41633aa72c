"""The shape of the system: who imports whom, every queue has a worker, every task a limit, every setting a page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from config import names
from config.celery_app import make_celery
from config.errors import TollgateError
from config.settings import Settings
from config.settings_reference import reference
from deploy.launcher.processes import background, bulk, scoring, training

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path for top in ("config", "ml", "workers", "web", "deploy") for path in (REPOSITORY / top).rglob("*.py")
)


IMPORTS = """
import importlib, json, os, sys
step, connected, loaded = '', [], {}
sys.addaudithook(lambda event, args: connected.append([step, str(args)]) if event == 'socket.connect' else None)
os.environ['TOLLGATE_PORT'] = 'not a number'
for step, modules in json.loads(sys.argv[1]).items():
    before = set(sys.modules)
    for module in modules:
        importlib.import_module(module)
    loaded[step] = sorted({module.split('.')[0] for module in set(sys.modules) - before})
print(json.dumps([loaded, connected]))
"""
STEPS = {
    "web": ["web.wsgi", "web.gateway", "web.app"],
    "waits": ["workers.incremental", "workers.no_model", "workers.training", "workers.training_startup"],
    "rest": ["config", "deploy.cli", "ml.ledger", "workers.scoring"],
}
SCIENCE = {"numpy", "sklearn", "pandas", "mlflow", "numba", "scipy", "joblib"}


@pytest.fixture(scope="module")
def imported() -> tuple[dict[str, set[str]], list[list[str]]]:
    """What each step loads (top names) that those before it had not, and who connected: one process for three tests."""
    completed = subprocess.run(
        [sys.executable, "-c", IMPORTS, json.dumps(STEPS)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=True,
        timeout=60,
    )
    loaded, connected = json.loads(completed.stdout)
    return {step: set(names) for step, names in loaded.items()}, connected


def test_imports_run_one_way() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    completed = subprocess.run([lint_imports], capture_output=True, text=True, cwd=REPOSITORY, check=False, timeout=120)

    assert completed.returncode == 0, completed.stdout


def test_the_web_side_loads_no_science_and_no_task_module(imported) -> None:
    loaded, _ = imported

    assert {"flask", "web"} <= loaded["web"]
    assert not loaded["web"] & (SCIENCE | {"workers"})


def test_a_training_worker_that_waits_loads_no_science(imported) -> None:
    loaded, _ = imported

    assert "workers" in loaded["waits"]
    assert not (loaded["web"] | loaded["waits"]) & SCIENCE


def test_importing_a_module_reads_no_settings_and_opens_nothing(imported) -> None:
    loaded, connected = imported

    assert "numpy" in loaded["rest"], "what scores was imported too"
    assert connected == []


def test_every_queue_is_consumed_by_a_process_of_the_local_stack() -> None:
    commands = " ".join(" ".join(process.argv) for process in (scoring(1), bulk(1), background(), training()))

    for queue in names.QUEUES:
        assert re.search(rf"(-Q|--queues)[ =]\S*\b{queue}\b", commands), f"no process consumes {queue}"


def task_modules() -> dict[str, str]:
    workers = REPOSITORY / "workers"
    return {str(path.relative_to(workers)): path.read_text("utf-8") for path in workers.rglob("*.py")}


def test_every_task_name_is_registered_once() -> None:
    wanted = {value for key, value in vars(names).items() if key.startswith("TASK_")}
    constants = {key: value for key, value in vars(names).items() if key.startswith("TASK_")}
    registered = [
        constants[found] for text in task_modules().values() for found in re.findall(r"name=names\.(TASK_\w+)", text)
    ]

    assert sorted(registered) == sorted(wanted)


# Solo workers cannot be interrupted: the supervisor watches what they do from outside.
WATCHED = {"scoring.py", "bulk/tasks.py"}


def test_every_background_task_has_a_time_limit() -> None:
    for module, text in task_modules().items():
        for declaration in re.findall(r"@shared_task\(([^)]*)\)", text):
            assert "time_limit" in declaration or module in WATCHED, f"{module}: {declaration}"


def test_every_beat_entry_names_a_task() -> None:
    tasks = {value for key, value in vars(names).items() if key.startswith("TASK_")}
    schedule = make_celery(Settings(), "background").conf.beat_schedule

    assert schedule
    assert {entry["task"] for entry in schedule.values()} <= tasks


def test_the_settings_page_is_the_settings() -> None:
    assert (REPOSITORY / "docs" / "settings.md").read_text("utf-8") == reference()


def test_every_setting_is_used() -> None:
    text = "\n".join(path.read_text("utf-8") for path in SOURCES if path != REPOSITORY / "config" / "settings.py")
    used = set(re.findall(r"\b_?settings\.(\w+)", text))

    assert [name for name in Settings.model_fields if name not in used] == []


def error_classes(base: type[TollgateError] = TollgateError) -> list[type[TollgateError]]:
    return [base, *(found for child in base.__subclasses__() for found in error_classes(child))]


def test_error_codes_are_unique_and_documented() -> None:
    page = (REPOSITORY / "docs" / "api.md").read_text("utf-8")
    codes = [cls.code for cls in error_classes() if cls.__module__ == "config.errors"]

    assert len(set(codes)) == len(codes)
    assert [code for code in codes if f"`{code}`" not in page] == []


def test_no_file_is_called_by_a_name_that_says_nothing() -> None:
    empty_names = {"utils", "util", "helpers", "helper", "manager", "common", "misc", "celery", "logging"}

    assert [path for path in SOURCES if path.stem in empty_names] == []


def test_nothing_is_left_to_do_later_in_the_sources() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")

    assert [str(path) for path in SOURCES if marks.search(path.read_text("utf-8"))] == []


def test_log_lines_carry_no_transaction_content() -> None:
    logging_calls = re.compile(r"log\.(?:debug|info|warning|error|exception)\([^)]*\b(?:values|payload|body)=")

    assert [str(path) for path in SOURCES if logging_calls.search(path.read_text("utf-8"))] == []
