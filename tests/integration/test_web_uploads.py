"""Uploads of batches over a socket: bounded memory, clients that break off, answers while they still send."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.granian_server import Connection, RunningGranian, running_granian

MEGABYTE = 1024 * 1024
LIMIT = 150 * MEGABYTE
HEAD = b"POST /batches HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
LINES = b'{"amount": 1}\n' * 100


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def server(data_dir: Path) -> Iterator[RunningGranian]:
    with running_granian(data_dir, bulk_max_bytes=str(LIMIT), bulk_batches_per_client="100") as running:
        yield running


@pytest.fixture
def connection(server: RunningGranian) -> Iterator[Connection]:
    opened = Connection(server.port)
    yield opened
    opened.close()


def uploads(data_dir: Path) -> set[Path]:
    """Every file and directory of a batch."""
    return set((data_dir / "blobs" / "batches").glob("*")) | set((data_dir / "blobs" / "batches").glob("*/*"))


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_large_upload_is_kept_byte_for_byte_and_never_in_memory(
    server: RunningGranian, connection: Connection, data_dir: Path
) -> None:
    line = b'{"amount": 1' + b" " * 500 + b"}\n"
    piece = (line * (MEGABYTE // len(line) + 1))[:MEGABYTE]
    sent = hashlib.sha256()
    peak_before = server.worker_peak_bytes()
    connection.send(HEAD + b"Idempotency-Key: big\r\nContent-Length: %d\r\n\r\n" % (100 * MEGABYTE))
    for _ in range(100):
        connection.send(piece)
        sent.update(piece)

    answered = connection.read()

    assert answered.status == 202
    upload = data_dir / "blobs" / "batches" / answered.json["id"] / "upload"
    assert hashlib.sha256(upload.read_bytes()).digest() == sent.digest()
    assert server.worker_peak_bytes() - peak_before < 30 * MEGABYTE


def test_who_breaks_off_leaves_nothing_and_its_key_is_free(server: RunningGranian, data_dir: Path) -> None:
    before = uploads(data_dir)
    leaver = Connection(server.port)
    leaver.send(HEAD + b"Idempotency-Key: gone\r\nContent-Length: 5000000\r\n\r\n" + LINES * 1000)
    wait_until(lambda: uploads(data_dir) > before)
    leaver.socket.shutdown(socket.SHUT_WR)
    leaver.close()
    wait_until(lambda: uploads(data_dir) == before)

    def is_accepted() -> bool:
        again = Connection(server.port)
        again.send(HEAD + b"Idempotency-Key: gone\r\nContent-Length: %d\r\n\r\n" % len(LINES) + LINES)
        status = again.read().status
        again.close()
        assert status in (202, 409), "the key is free a moment after the files are gone"
        return status == 202

    wait_until(is_accepted)


def test_a_chunked_upload_is_accepted_but_takes_no_key(connection: Connection, data_dir: Path) -> None:
    chunked = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(LINES) + LINES + b"\r\n0\r\n\r\n"
    connection.send(HEAD + b"Idempotency-Key: half\r\n" + chunked)
    refused = connection.read()
    assert (refused.status, refused.json["code"]) == (411, "length_required")
    before = uploads(data_dir)

    connection.send(HEAD + chunked)

    assert connection.read().status == 202
    assert [path.read_bytes() for path in uploads(data_dir) - before if path.is_file()] == [LINES]


def test_an_upload_over_the_limit_reads_its_413_while_it_still_sends(connection: Connection) -> None:
    connection.send(HEAD + b"Content-Length: %d\r\n\r\n" % (LIMIT + 1))
    for _ in range(20):
        connection.send(LINES * 700)

    answered = connection.read()

    assert (answered.status, answered.json["code"]) == (413, "body_too_large")


def test_who_expects_100_continue_is_told_to_go_on_or_why_not(server: RunningGranian, connection: Connection) -> None:
    connection.send(HEAD + b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(LINES))
    assert connection.read().status == 100
    connection.send(LINES)
    assert connection.read().status == 202

    other = Connection(server.port)
    other.send(HEAD + b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % (LIMIT + 1))
    assert other.read().status == 413
    other.close()


def test_curl_uploads_a_file_and_reads_the_batch(server: RunningGranian, tmp_path: Path) -> None:
    upload = tmp_path / "payments.ndjson"
    upload.write_bytes(LINES * 5000)
    command = ["curl", "-sS", "--max-time", "30", "-T", str(upload), "-X", "POST"]
    command += ["-H", "Content-Type: application/x-ndjson", f"http://127.0.0.1:{server.port}/batches"]

    done = subprocess.run(command, capture_output=True, check=True, timeout=60)

    assert json.loads(done.stdout)["upload_bytes"] == len(LINES) * 5000


def test_clients_that_stall_in_an_upload_leave_threads_for_the_others(server: RunningGranian, data_dir: Path) -> None:
    before = uploads(data_dir)
    stalled = [Connection(server.port) for _ in range(6)]
    for one in stalled:
        one.send(HEAD + b"Content-Length: 5000000\r\n\r\n" + LINES)

    other = Connection(server.port)
    other.send(b"GET /batches HTTP/1.1\r\nHost: x\r\n\r\n")
    assert other.read().status == 200
    for one in (*stalled, other):
        one.close()
    wait_until(lambda: uploads(data_dir) == before)


def documented_submissions() -> list[str]:
    """The commands of docs/bulk.md that submit a batch."""
    page = (Path(__file__).parents[2] / "docs" / "bulk.md").read_text()
    lines = [line.strip() for line in page.splitlines() if line.startswith("    ")]
    return [line for line in lines if line.startswith("gzip") or (line.startswith("curl") and " -T " in line)]


def test_the_documented_commands_work_as_printed(server: RunningGranian, tmp_path: Path) -> None:
    (tmp_path / "payments.ndjson").write_bytes(LINES)
    (tmp_path / "payments.csv").write_bytes(b"amount\n1\n")

    for command in documented_submissions():
        here = command.replace("localhost:8000", f"127.0.0.1:{server.port}")
        done = subprocess.run(here, shell=True, cwd=tmp_path, capture_output=True, check=True, timeout=30)
        if command.startswith("curl"):
            assert json.loads(done.stdout)["status"] == "validating", done.stdout
    assert len(documented_submissions()) == 3
