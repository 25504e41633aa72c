"""POST /feedback with a file: every row on its own, nothing twice, the first errors told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from config.errors import BrokerUnavailable, MalformedBody, TollgateError
from tests.web_app import assert_problem
from web import label_files
from web.label_rows import LINE_MAX_BYTES, read_label_rows
from web.memory_gateway import MemoryGateway
from web.ports.labels import Label

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NDJSON = "application/x-ndjson"


def rows(body: bytes, form: Any = "ndjson", *, block: int = 7) -> list[tuple[int, Label | TollgateError]]:
    """Every row of a body that arrives a few bytes at a time."""
    blocks = (body[start : start + block] for start in range(0, len(body), block))
    return [(row.line, row.label) for row in read_label_rows(blocks, form, now=NOW)]


def labels(found: list[tuple[int, Label | TollgateError]]) -> list[Label]:
    return [label for _, label in found if isinstance(label, Label)]


def refusals(found: list[tuple[int, Label | TollgateError]]) -> list[tuple[int, str]]:
    return [(line, error.code) for line, error in found if isinstance(error, TollgateError)]


def test_json_lines_are_labels_whatever_the_blocks_and_line_ends() -> None:
    body = (
        b'{"transaction_id": "t-1", "is_fraud": true, "source": "chargeback", "amount": 12.5}\r\n\n'
        b'{"decision_id": "d-2", "is_fraud": false, "known_at": "2026-02-01T00:00:00Z", "label_id": "mine"}'
    )

    first, second = labels(rows(body))

    assert (first.transaction_id, first.is_fraud, first.source, first.amount) == ("t-1", True, "chargeback", 12.5)
    assert first.known_at == NOW
    assert (second.decision_id, second.known_at.month, second.label_id) == ("d-2", 2, "mine")


def test_csv_cells_become_what_their_columns_say_and_other_columns_are_left_out() -> None:
    body = (
        b"\xef\xbb\xbftransaction_id,is_fraud,amount,city,reason_code\r\n"
        b't-1,TRUE,12.50,"Bern, CH",10.4\r\n'
        b'"t-2",0,,"two\nlines",\r\n'
    )

    found = rows(body, "csv")

    first, second = labels(found)
    assert (first.transaction_id, first.is_fraud, first.amount, first.reason_code) == ("t-1", True, 12.5, "10.4")
    assert (second.transaction_id, second.is_fraud, second.amount) == ("t-2", False, None)
    assert [line for line, _ in found] == [2, 3]


def test_a_bad_row_is_told_by_its_line_and_stops_no_other() -> None:
    body = b"\n".join([
        b'{"transaction_id": "t-1", "is_fraud": true}',
        b"not json",
        b'{"transaction_id": "t-2"}',
        b'{"transaction_id": "t-3", "is_fraud": true, "is_fraud": false}',
        b'{"transaction_id": "' + b"x" * LINE_MAX_BYTES + b'", "is_fraud": true}',
        b'{"transaction_id": "t-\xff", "is_fraud": true}',
        b'{"transaction_id": "t-4", "is_fraud": false}',
    ])  # fmt: skip

    found = rows(body, block=5000)

    assert [label.transaction_id for label in labels(found)] == ["t-1", "t-4"]
    assert refusals(found) == [
        (2, "malformed_body"),
        (3, "invalid_request"),
        (4, "malformed_body"),
        (5, "malformed_body"),
        (6, "malformed_body"),
    ]


def test_bad_csv_rows_are_told_by_their_line() -> None:
    body = (
        b"decision_id,is_fraud,amount\n"
        b"d-1,true\n"
        b"d-2,perhaps,\n"
        b"d-3,true,much\n"
        b"d-\xff,true,\n"
        b"d-5,true,1\n"
    )  # fmt: skip

    found = rows(body, "csv")

    assert [label.decision_id for label in labels(found)] == ["d-5"]
    assert refusals(found) == [
        (2, "malformed_body"), (3, "invalid_request"), (4, "invalid_request"), (5, "malformed_body"),
    ]  # fmt: skip


def test_csv_with_an_open_quote_keeps_what_came_before() -> None:
    found = rows(b'transaction_id,is_fraud\nt-1,1\n"t-2,1\nt-3,1\n', "csv")

    assert [label.transaction_id for label in labels(found)] == ["t-1"]
    assert refusals(found) == [(3, "malformed_body")]


@pytest.mark.parametrize("header", [b"", b"transaction_id\n", b"is_fraud,amount\n", b"decision_id,is_fraud,is_fraud\n"])
def test_csv_must_name_its_columns(header: bytes) -> None:
    with pytest.raises(MalformedBody):
        rows(header + b"t-1\n", "csv")


def test_the_same_row_has_the_same_label_id_and_another_has_another() -> None:
    one = b'{"transaction_id": "t-1", "is_fraud": true, "amount": 5}\n'
    reordered = b'{"is_fraud": true, "amount": 5, "transaction_id": "t-1"}\n'
    other = b'{"transaction_id": "t-1", "is_fraud": false, "amount": 5}\n'

    first, second, third = labels(rows(one + reordered + other))

    assert first.label_id == second.label_id
    assert first.label_id != third.label_id


@pytest.fixture
def decided(predict: Callable[..., Any]) -> list[str]:
    """The transaction ids of three decisions."""
    return [predict(transaction_id=f"t-{number}").json["transaction_id"] for number in range(3)]


def send(client: FlaskClient, body: bytes, content_type: str = NDJSON, **headers: str) -> Any:
    return client.post("/feedback", data=body, content_type=content_type, headers=headers)


def lines(transaction_ids: list[str]) -> bytes:
    return b"".join(json.dumps({"transaction_id": one, "is_fraud": True}).encode() + b"\n" for one in transaction_ids)


def test_a_file_is_accepted_and_its_labels_kept(
    client: FlaskClient, gateway: MemoryGateway, decided: list[str]
) -> None:
    before = len(gateway.labels)

    answer = send(client, lines(decided))

    assert answer.status_code == 202
    assert answer.json == {"received": 3, "accepted": 3, "refused": 0, "errors": [], "errors_omitted": 0}
    assert [label.transaction_id for label, _ in gateway.labels[before:]] == decided


def test_refused_rows_are_a_207_with_their_reasons(client: FlaskClient, decided: list[str]) -> None:
    answer = send(client, b"transaction_id,is_fraud\nnobody,1\nt-1,yes!\nt-1,0\n", "text/csv; charset=utf-8")

    assert answer.status_code == 207
    assert (answer.json["received"], answer.json["accepted"], answer.json["refused"]) == (3, 1, 2)
    unknown, invalid = answer.json["errors"]
    assert (unknown["line"], unknown["code"]) == (2, "unknown_id")
    assert (invalid["line"], invalid["errors"][0]["pointer"]) == (3, "/is_fraud")


def test_a_label_id_that_says_something_else_is_refused_in_its_row(client: FlaskClient, decided: list[str]) -> None:
    row = {"transaction_id": decided[0], "label_id": "mine", "is_fraud": True}
    body = "\n".join(json.dumps(one) for one in (row, {**row, "is_fraud": False}, row)).encode()

    answer = send(client, body)

    assert answer.status_code == 207
    assert [(error["line"], error["code"]) for error in answer.json["errors"]] == [(2, "label_conflict")]
    assert "'mine'" in answer.json["errors"][0]["detail"]


def test_only_the_first_errors_are_told_and_the_others_counted(
    client: FlaskClient, decided: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_files, "ERRORS_SHOWN", 2)
    monkeypatch.setattr(label_files, "LABELS_PER_CHUNK", 2)

    report = send(client, b"x\n" * 5 + lines(decided)).json

    assert [error["line"] for error in report["errors"]] == [1, 2]
    assert (report["errors_omitted"], report["accepted"]) == (3, 3)


def test_a_broker_that_fails_is_a_503_after_which_the_file_can_be_sent_again(
    client: FlaskClient, gateway: MemoryGateway, decided: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_files, "LABELS_PER_CHUNK", 2)
    record, calls = gateway.record_labels, iter([True, False])

    def failing(_self: MemoryGateway, chunk: Any) -> Any:
        if next(calls, True):
            return record(chunk)
        raise BrokerUnavailable("gone", retry_after_s=1)

    monkeypatch.setattr(MemoryGateway, "record_labels", failing)

    assert_problem(send(client, lines(decided)), 503, "broker_unavailable")
    assert send(client, lines(decided)).json["accepted"] == 3


def test_a_file_under_an_idempotency_key_is_answered_once(
    client: FlaskClient, gateway: MemoryGateway, decided: list[str]
) -> None:
    key = {"Idempotency-Key": "march"}
    first = send(client, lines(decided), **key)
    kept = len(gateway.labels)

    again = send(client, lines(decided), **key)

    assert (again.status_code, again.data) == (first.status_code, first.data)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(gateway.labels) == kept
    assert_problem(send(client, lines(decided[:1]), **key), 422, "idempotency_key_reused")


def test_a_file_that_is_refused_whole_frees_its_key(client: FlaskClient, decided: list[str]) -> None:
    key = {"Idempotency-Key": "april"}

    assert_problem(send(client, b"amount\n1\n", "text/csv", **key), 422, "malformed_body")
    assert send(client, b"transaction_id,is_fraud\nt-1,1\n", "text/csv", **key).status_code == 202


@pytest.mark.parametrize(
    ("body", "content_type", "headers", "status", "code"),
    [
        (b"", NDJSON, {}, 422, "malformed_body"),
        (b"x", "text/csv; charset=latin-1", {}, 415, "unsupported_media_type"),
        (b"x", NDJSON, {"Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
        (b"x", "text/plain", {}, 415, "unsupported_media_type"),
    ],
)
def test_what_is_no_file_of_labels_is_refused(
    client: FlaskClient, body: bytes, content_type: str, headers: dict[str, str], status: int, code: str
) -> None:
    assert_problem(send(client, body, content_type, **headers), status, code)


def test_a_file_over_the_limit_is_refused(make_app: Callable[..., Any]) -> None:
    client = make_app(feedback_max_bytes=10).test_client()

    assert_problem(send(client, b"x" * 11), 413, "body_too_large")


def test_memory_does_not_grow_with_the_file() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b'{"transaction_id": "t-1", "is_fraud": true}\n' * 100

    stream = read_label_rows(endless(), "ndjson", now=NOW)

    assert all(isinstance(next(stream).label, Label) for _ in range(1000))
