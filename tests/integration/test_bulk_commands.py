"""`tollgate score` and `tollgate feedback` against a server that restarts, breaks off, is busy, refuses."""

from __future__ import annotations

import csv
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from flask import Response

from deploy import cli
from deploy.bulk import label_run, scoring
from deploy.bulk.labels import read_labels
from deploy.bulk.source import parquet_rows
from tests.bulk_stack import BulkStack
from tests.web_app import PAYMENT
from web import label_files

ROWS = [
    {"transaction_id": "t-1", "amount": 5000.0},
    {"transaction_id": "=t-2", "amount": 5.0},
    {"transaction_id": "t-3", "amount": -1.0},
]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[BulkStack]:
    stack = BulkStack(tmp_path / "blobs")
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture(autouse=True)
def _be_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "SHORT_PAUSE_S", 0.01)
    monkeypatch.setattr(scoring, "LONG_PAUSE_S", 0.01)


def run(stack: BulkStack, *arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.main, [*map(str, arguments), "--url", stack.url])


def write(path: Path, rows: list[dict[str, Any]] = ROWS) -> Path:
    """The rows as a file, by its suffix."""
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    if name.endswith(".csv"):
        text = ",".join(rows[0]) + "\n" + "".join(",".join(str(cell) for cell in row.values()) + "\n" for row in rows)
    elif name.endswith(".json"):
        text = json.dumps(rows)
    else:
        text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def decided(out: Path) -> list[str]:
    """The transaction ids in a file of results."""
    if out.suffix == ".parquet":
        return [row["transaction_id"] for row in pq.read_table(out).to_pylist()]
    if out.suffix == ".csv":
        with out.open(newline="") as file:
            return [row["transaction_id"] for row in csv.DictReader(file)]
    return [json.loads(line)["transaction_id"] for line in out.read_bytes().splitlines()]


@pytest.mark.parametrize(
    "name", ["in.ndjson", "in.jsonl", "in.json", "in.csv", "in.parquet", "in.ndjson.gz", "in.csv.gz", "in.json.gz"]
)
def test_every_kind_of_file_is_scored_in_its_order(stack: BulkStack, tmp_path: Path, name: str) -> None:
    out, errors = tmp_path / "out.ndjson", tmp_path / "errors.ndjson"

    done = run(stack, "score", write(tmp_path / name), "--out", out, "--errors", errors)

    assert done.exit_code == 0, done.output
    assert decided(out) == ["t-1", "=t-2"]
    assert [json.loads(line)["row"] for line in errors.read_bytes().splitlines()] == [3]
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.ndjson"]
    assert "refused" in done.output


@pytest.mark.parametrize(("name", "second"), [("out.csv", "'=t-2"), ("out.parquet", "=t-2"), ("out.jsonl", "=t-2")])
def test_results_are_written_by_their_suffix(stack: BulkStack, tmp_path: Path, name: str, second: str) -> None:
    out = tmp_path / name

    done = run(stack, "score", write(tmp_path / "in.csv"), "--out", out)

    assert done.exit_code == 0, done.output
    assert decided(out) == ["t-1", second]
    assert "--errors FILE" in done.output
    assert sorted(path.name for path in tmp_path.glob("out*")) == [name]


def test_parquet_results_are_typed(stack: BulkStack, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"

    run(stack, "score", write(tmp_path / "in.csv"), "--out", out)

    first = pq.read_table(out).to_pylist()[0]
    assert (first["row"], first["is_fraud"], first["reasons"]) == (1, True, ["amount_high"])


def test_a_server_that_is_not_there_yet_is_waited_for(stack: BulkStack, tmp_path: Path) -> None:
    stack.restart(down_s=0.6)

    done = run(stack, "score", write(tmp_path / "in.csv"), "--out", tmp_path / "out.csv")

    assert done.exit_code == 0, done.output
    assert decided(tmp_path / "out.csv") == ["t-1", "'=t-2"]


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_a_restart_at_any_step_is_survived(stack: BulkStack, tmp_path: Path, step: int) -> None:
    def restart() -> Response:
        threading.Thread(target=stack.restart).start()
        return Response(iter([b'{"id"']), headers={"Content-Length": "500"})

    stack.on_request = [*[lambda: None] * (step - 1), restart]

    done = run(stack, "score", write(tmp_path / "in.csv"), "--out", tmp_path / "out.ndjson")

    assert done.exit_code == 0, done.output
    assert decided(tmp_path / "out.ndjson") == ["t-1", "=t-2"]
    assert len(stack.batches.records) == 1


def test_half_a_result_is_fetched_again_from_its_beginning(stack: BulkStack, tmp_path: Path) -> None:
    def broken() -> Response:
        return Response(iter([b'{"row":1,']), headers={"Content-Length": "100000"})

    stack.on_request = [lambda: None, lambda: None, lambda: None, broken]

    done = run(stack, "score", write(tmp_path / "in.csv"), "--out", tmp_path / "out.ndjson")

    assert done.exit_code == 0, done.output
    assert sum("/results" in request for request in stack.requests) == 2
    assert decided(tmp_path / "out.ndjson") == ["t-1", "=t-2"]


@pytest.mark.parametrize(
    ("status", "code"), [(503, "overloaded"), (429, "too_many_batches"), (409, "request_in_progress")]
)
def test_who_is_asked_to_wait_waits(stack: BulkStack, tmp_path: Path, status: int, code: str) -> None:
    stack.on_request = [lambda: Response(json.dumps({"code": code}), status, mimetype="application/problem+json")] * 2

    done = run(stack, "score", write(tmp_path / "in.csv"), "--out", tmp_path / "out.csv")

    assert done.exit_code == 0, done.output
    assert stack.requests.count("POST /batches") == 3


def test_a_refusal_is_told_and_ends_with_2(stack: BulkStack, tmp_path: Path) -> None:
    refusal = {"code": "storage_full", "detail": "the disk is full"}
    stack.on_request = [lambda: Response(json.dumps(refusal), 507)]

    done = run(stack, "score", write(tmp_path / "in.csv"), "--out", tmp_path / "out.csv")

    assert done.exit_code == 2
    assert "storage_full: the disk is full" in done.output
    assert not (tmp_path / "out.csv").exists()


def test_the_same_command_goes_on_with_the_batch_it_has(stack: BulkStack, tmp_path: Path) -> None:
    file = write(tmp_path / "in.parquet")

    for _ in range(2):
        assert run(stack, "score", file, "--out", tmp_path / "out.csv").exit_code == 0

    assert len(stack.batches.records) == 1


@pytest.mark.parametrize("status", ["cancelled", "failed", "expired"])
def test_a_batch_that_came_to_nothing_is_submitted_anew(stack: BulkStack, tmp_path: Path, status: str) -> None:
    file = write(tmp_path / "in.csv")
    run(stack, "score", file, "--out", tmp_path / "out.csv")
    stack.batches.update(next(iter(stack.batches.records)), status=status)

    done = run(stack, "score", file, "--out", tmp_path / "out.csv")

    assert done.exit_code == 0, done.output
    assert len(stack.batches.records) == 2


def test_a_batch_that_fails_is_told_and_ends_with_1(stack: BulkStack, tmp_path: Path) -> None:
    def fail() -> None:
        batch_id = next(iter(stack.batches.records))
        stack.batches.update(batch_id, status="failed", error_code="malformed_body", error_detail="line 1: not CSV")

    stack.on_request = [lambda: None, fail]

    done = run(stack, "score", write(tmp_path / "in.csv"), "--out", tmp_path / "out.csv")

    assert done.exit_code == 1
    assert "malformed_body: line 1: not CSV" in done.output


def test_ctrl_c_says_how_to_go_on(stack: BulkStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("deploy.bulk.outputs.count_actions", interrupted)

    done = run(stack, "score", write(tmp_path / "in.csv"), "--out", tmp_path / "out.csv")

    assert done.exit_code == 130
    assert "the same command goes on" in done.output
    assert list(tmp_path.glob("out*")) == []


@pytest.mark.parametrize(
    ("name", "out", "why"),
    [
        ("in.txt", "out.csv", "--format"),
        ("in.csv", "out.xls", ".parquet"),
        ("empty.csv", "out.csv", "is empty"),
        ("in.csv", "no/out.csv", "no directory"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_before_anything_is_sent(
    stack: BulkStack, tmp_path: Path, name: str, out: str, why: str
) -> None:
    file = tmp_path / name
    file.write_text("" if name == "empty.csv" else "amount\n1\n")

    done = run(stack, "score", file, "--out", tmp_path / out)

    assert done.exit_code == 2
    assert why in done.output
    assert stack.requests == []


def test_format_says_what_the_suffix_does_not(stack: BulkStack, tmp_path: Path) -> None:
    file = write(tmp_path / "in.csv").rename(tmp_path / "in.txt")

    assert run(stack, "score", file, "--format", "csv", "--out", tmp_path / "out.csv").exit_code == 0


def test_parquet_rows_leave_out_what_is_missing_and_times_have_a_zone(tmp_path: Path) -> None:
    times = pa.array([datetime(2026, 3, 1, 9, 30), None], pa.timestamp("ns"))  # noqa: DTZ001  a file without zones
    table = pa.table({"at": times, "amount": [1.5, float("nan")], "n": pa.array([None, 2], pa.int64())})
    pq.write_table(table, tmp_path / "in.parquet")

    assert list(parquet_rows(tmp_path / "in.parquet")) == [{"at": "2026-03-01T09:30:00Z", "amount": 1.5}, {"n": 2}]


LABELS = [
    {"transaction_id": "t-1", "is_fraud": "1", "amount": "12.5", "city": "Bern"},
    {"transaction_id": "nobody", "is_fraud": "no", "amount": "", "city": ""},
    {"transaction_id": "t-2", "is_fraud": "perhaps", "amount": "", "city": ""},
    {"transaction_id": "t-2", "is_fraud": "false", "amount": "", "city": ""},
]


@pytest.fixture
def scored(stack: BulkStack) -> BulkStack:
    client = stack.app.test_client()
    for transaction_id in ("t-1", "t-2"):
        assert client.post("/predict", json={**PAYMENT, "transaction_id": transaction_id}).status_code == 200
    stack.requests.clear()
    return stack


def kept(stack: BulkStack) -> set[tuple[str | None, bool, float | None]]:
    return {(label.transaction_id, label.is_fraud, label.amount) for label, _ in stack.gateway.labels}


@pytest.mark.parametrize("name", ["labels.csv", "labels.ndjson", "labels.csv.gz", "labels.json", "labels.parquet"])
def test_labels_reach_their_decisions_and_the_rest_is_reported(scored: BulkStack, tmp_path: Path, name: str) -> None:
    errors = tmp_path / "errors.ndjson"

    done = run(scored, "feedback", write(tmp_path / name, LABELS), "--errors", errors)

    assert done.exit_code == 0, done.output
    assert kept(scored) == {("t-1", True, 12.5), ("t-2", False, None)}
    problems = {row["row"]: (row["status"], row["code"]) for row in map(json.loads, errors.read_text().splitlines())}
    assert problems == {2: (404, "unknown_id"), 3: (422, "invalid_request")}


def test_labels_survive_a_restart_and_a_second_run_changes_nothing(
    scored: BulkStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"transaction_id": "t-1", "is_fraud": str(number % 2), "amount": str(number)} for number in range(60)]
    file = write(tmp_path / "labels.csv", rows)

    def restart() -> None:
        threading.Thread(target=scored.restart).start()

    monkeypatch.setattr(label_run, "PIECE_LABELS", 2)
    scored.on_request = [*[lambda: None] * 20, restart]

    assert run(scored, "feedback", file).exit_code == 0
    assert run(scored, "feedback", file).exit_code == 0

    assert len(scored.gateway.labels) == 60
    assert len(kept(scored)) == 60


def test_labels_travel_together_and_what_an_answer_cannot_name_goes_in_halves(
    scored: BulkStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"transaction_id": "t-1" if number % 4 else "nobody", "is_fraud": "1", "amount": str(number)}
        for number in range(16)
    ]
    file, errors = write(tmp_path / "labels.csv", rows), tmp_path / "errors.ndjson"
    monkeypatch.setattr(label_files, "ERRORS_SHOWN", 2)

    done = run(scored, "feedback", file, "--errors", errors)

    assert done.exit_code == 0, done.output
    assert sorted(json.loads(line)["row"] for line in errors.read_bytes().splitlines()) == [1, 5, 9, 13]
    assert scored.requests == ["POST /feedback"] * 3
    assert "12" in done.output


def test_a_second_run_finds_what_is_known_by_now(scored: BulkStack, tmp_path: Path) -> None:
    file = write(tmp_path / "labels.csv", [{"transaction_id": "late", "is_fraud": "1"}])
    run(scored, "feedback", file)
    assert kept(scored) == set()
    assert scored.app.test_client().post("/predict", json={**PAYMENT, "transaction_id": "late"}).status_code == 200

    assert run(scored, "feedback", file).exit_code == 0

    assert kept(scored) == {("late", True, None)}


def test_labels_the_server_has_no_room_for_go_in_smaller_pieces(scored: BulkStack, tmp_path: Path) -> None:
    too_large = {"code": "body_too_large", "detail": "the body is larger than 100 bytes"}
    scored.on_request = [lambda: Response(json.dumps(too_large), 413, mimetype="application/problem+json")]

    done = run(scored, "feedback", write(tmp_path / "labels.csv", LABELS))

    assert done.exit_code == 0, done.output
    assert scored.requests == ["POST /feedback"] * 3
    assert kept(scored) == {("t-1", True, 12.5), ("t-2", False, None)}


def test_ctrl_c_while_labels_wait_for_the_server_ends_at_once(
    scored: BulkStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "labels.csv", LABELS * 50)
    monkeypatch.setattr(label_run, "PIECE_LABELS", 5)
    scored.stop()
    read: Callable[..., Any] = read_labels

    def interrupted(path: Path, form: Any) -> Iterator[dict[str, Any]]:
        for number, label in enumerate(read(path, form)):
            if number == 20 and calls:
                raise KeyboardInterrupt
            yield label
        calls.append(1)

    calls: list[int] = []
    monkeypatch.setattr("deploy.bulk.labels.read_labels", interrupted)

    done = run(scored, "feedback", file)

    assert done.exit_code == 130
    assert "the same command goes on" in done.output
