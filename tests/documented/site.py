"""A directory and an environment in which printed commands run as they would for a reader, on a stack of a test."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.documented.pages import REPOSITORY
from tests.e2e.running_stack import RunningStack

LIMIT_S = 120.0
SETTLED_WITHIN_S = 20.0
NOT_YET = ('"code": "unknown_id"', '"status":"pending"')
FIELDS = ("transaction_id", "timestamp", "account_id", "merchant_id", "amount", "merchant_category", "is_fraud")
SEED_PAYMENT = {
    "amount": 1500.0,
    "hour": 3,
    "day_of_week": 1,
    "merchant_category": "online",
    "previous_amount": 50.0,
    "time_since_last": 0.5,
}


@dataclass(frozen=True)
class Site:
    """Where the commands of one page run, in their order. `given`: what words in capitals stand for."""

    home: Path
    stack: RunningStack
    given: Mapping[str, str]

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """One command, as printed but for the port and the words in capitals.

        What is looked up is asked for again while it is unknown: a reader is slower than the journal.
        """
        deadline = time.monotonic() + SETTLED_WITHIN_S
        while _is_too_early(command, done := self._run_once(command)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return done

    def _run_once(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._here(command)],
            cwd=self.home,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )

    def _here(self, command: str) -> str:
        here = re.sub(r"(localhost|127\.0\.0\.1):8000", f"127.0.0.1:{self.stack.ports['PORT']}", command)
        for word, value in self.given.items():
            here = re.sub(rf"\b{word}\b", value, here)
        return here

    def _environment(self) -> dict[str, str]:
        programs = f"{self.home / 'bin'}:{os.environ['PATH']}"
        return {**self.stack.environment, "PATH": programs, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "120"}


def _is_too_early(command: str, done: subprocess.CompletedProcess[str]) -> bool:
    """Whether something was looked up that is not there yet."""
    looks_up = command.startswith("curl") and " -X " not in command
    return looks_up and any(mark in done.stdout for mark in NOT_YET)


@dataclass(frozen=True)
class Known:
    """What pages speak of as if it were there: payments with their labels, and what words in capitals stand for."""

    rows: list[dict[str, Any]]
    words: Mapping[str, str]


def make_known(stack: RunningStack) -> Known:
    """Score the payments that pages send labels about; wait for one decision in the ledger and one batch."""
    rows = [_row(number, f"doc-{uuid.uuid4().hex[:10]}") for number in range(200)]
    for labelled in (*rows[:3], {**rows[3], "transaction_id": "tx-1"}):
        _score(stack, {name: value for name, value in labelled.items() if name != "is_fraud"})
    decision = _score(stack, SEED_PAYMENT)
    stack.wait_until(lambda: stack.get(f"/decisions/{decision['decision_id']}")[0] == 200, LIMIT_S)
    words = {
        "DECISION_ID": decision["decision_id"],
        "BATCH_ID": _completed_batch(stack),
        "VERSION": decision["model_version"],
    }
    return Known(rows, words)


def make_site(home: Path, stack: RunningStack, known: Known) -> Site:
    """A reader's directory: `tollgate` and `python`, the files, `.tollgate` where the stack has its data."""
    programs = home / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    command = programs / "tollgate"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m deploy.cli "$@"\n')
    command.chmod(0o755)
    (home / ".tollgate").symlink_to(stack.data_dir)
    _write_files(home, known.rows)
    return Site(home, stack, known.words)


def _write_files(home: Path, rows: list[dict[str, Any]]) -> None:
    """Labelled payments, payments to score as CSV and NDJSON, and a file of chargebacks about some of them."""
    _write_csv(home / "data.csv", FIELDS, rows)
    _write_csv(home / "payments.csv", FIELDS[:-1], rows[:20])
    lines = (json.dumps({name: row[name] for name in FIELDS[:-1]}) for row in rows[20:40])
    (home / "payments.ndjson").write_text("\n".join(lines) + "\n")
    frauds = [{"transaction_id": row["transaction_id"], "is_fraud": "true", "source": "chargeback"} for row in rows[:3]]
    _write_csv(home / "chargebacks.csv", ("transaction_id", "is_fraud", "source"), frauds)


def _row(number: int, transaction_id: str) -> dict[str, Any]:
    return {
        "transaction_id": transaction_id,
        "timestamp": f"2026-03-{1 + number // 10:02}T{number % 24:02}:15:00Z",
        "account_id": f"doc-account-{number % 7}",
        "merchant_id": f"doc-merchant-{number % 5}",
        "amount": 20.0 + 7 * (number % 50),
        "merchant_category": ("online", "grocery", "fuel")[number % 3],
        "is_fraud": int(number % 20 == 0),
    }


def _write_csv(path: Path, fields: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    lines = [",".join(fields), *(",".join(str(row[name]) for name in fields) for row in rows)]
    path.write_text("\n".join(lines) + "\n")


def _score(stack: RunningStack, payment: dict[str, Any]) -> Any:
    status, decision = stack.post("/predict", payment, {"Prefer": "wait=20"})
    assert status == 200, decision
    return decision


def _completed_batch(stack: RunningStack) -> str:
    status, batch = stack.request(
        "POST", "/batches", json.dumps(SEED_PAYMENT).encode(), {"Content-Type": "application/x-ndjson"}
    )
    assert status == 202, batch
    batch_id: str = batch["id"]
    stack.wait_until(lambda: stack.get(f"/batches/{batch_id}")[1]["status"] == "completed", LIMIT_S)
    return batch_id
