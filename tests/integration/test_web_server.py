"""What only a socket shows: a 413 while the client still sends, broken HTTP, slow clients, kept connections."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from tests.granian_server import HEAD, SERVER_THREADS, Answered, Connection, RunningGranian, running_granian
from tests.web_app import PAYMENT

BODY = json.dumps(PAYMENT).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGranian]:
    with running_granian(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(scope="module")
def port(server: RunningGranian) -> int:
    return server.port


@pytest.fixture
def connection(port: int) -> Iterator[Connection]:
    opened = Connection(port)
    yield opened
    opened.close()


def test_a_payment_is_scored_over_a_kept_connection(connection: Connection) -> None:
    for _ in range(3):
        answered = connection.post(BODY)
        assert answered.status == 200
        assert answered.headers["content-type"] == "application/json"
        assert answered.json["action"] == "decline"


def test_a_client_that_sends_two_megabytes_slowly_reads_its_413_before_it_is_done(
    connection: Connection,
) -> None:
    total, piece = 2_000_000, 100_000
    connection.send(HEAD % b"/predict" + b"Content-Length: %d\r\n\r\n" % total)

    answered_after = None
    for sent in range(0, total, piece):
        connection.send(b" " * piece)
        time.sleep(0.05)
        if answered_after is None and connection.has_answer():
            answered_after = sent + piece

    answered = connection.read()
    assert (answered.status, answered.json["code"]) == (413, "body_too_large")
    assert answered_after is not None
    assert answered_after < total
    assert connection.post(BODY).status == 200, "the connection must be usable afterwards"


def test_a_chunked_upload_that_is_too_large_reads_its_413(connection: Connection) -> None:
    connection.send(HEAD % b"/predict" + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(20):
        connection.send(b"%x\r\n" % 100_000 + b" " * 100_000 + b"\r\n")
        time.sleep(0.01)
    connection.send(b"0\r\n\r\n")

    answered = connection.read()

    assert (answered.status, answered.json["code"]) == (413, "body_too_large")
    assert connection.post(BODY).status == 200


def test_a_chunked_payment_is_scored(connection: Connection) -> None:
    connection.send(HEAD % b"/predict" + b"Transfer-Encoding: chunked\r\n\r\n")
    for part in (BODY[:40], BODY[40:]):
        connection.send(b"%x\r\n" % len(part) + part + b"\r\n")
    connection.send(b"0\r\n\r\n")

    assert connection.read().status == 200


def test_who_expects_100_continue_hears_413_instead_and_sends_nothing(connection: Connection) -> None:
    connection.send(HEAD % b"/predict" + b"Content-Length: 2000000\r\nExpect: 100-continue\r\n\r\n")

    answered = connection.read()

    assert (answered.status, answered.json["code"]) == (413, "body_too_large")


def test_who_expects_100_continue_and_sends_all_the_same_reads_its_413(connection: Connection) -> None:
    connection.send(HEAD % b"/predict" + b"Content-Length: 2000000\r\nExpect: 100-continue\r\n\r\n")
    for _ in range(20):
        connection.send(b" " * 100_000)
        time.sleep(0.01)

    answered = connection.read()

    assert (answered.status, answered.json["code"]) == (413, "body_too_large")


def test_who_expects_100_continue_may_send_a_payment(connection: Connection) -> None:
    connection.send(HEAD % b"/predict" + b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(BODY))
    assert connection.read().status == 100

    connection.send(BODY)

    assert connection.read().status == 200


@pytest.mark.parametrize(
    ("path", "content_type", "status", "code"),
    [
        (b"/predict", b"text/plain", 415, "unsupported_media_type"),
        (b"/nowhere", b"application/json", 404, "unknown_route"),
        (b"/health", b"application/json", 405, "method_not_allowed"),
        (b"/feedback", b"application/json", 413, "body_too_large"),
        (b"/feedback?actual_label=true", b"text/plain", 415, "unsupported_media_type"),
    ],
)
def test_every_early_error_can_be_read_by_who_still_sends(
    connection: Connection, path: bytes, content_type: bytes, status: int, code: str
) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 2000000\r\n\r\n"
    connection.send(head % (path, content_type))
    for _ in range(20):
        connection.send(b" " * 100_000)

    answered = connection.read()

    assert (answered.status, answered.json["code"]) == (status, code)
    assert connection.post(BODY).status == 200


def test_several_prefer_headers_count_as_one(connection: Connection) -> None:
    answered = connection.post(BODY, b"Prefer: handling=lenient", b"Prefer: respond-async")

    assert answered.status == 202
    assert answered.headers["preference-applied"] == "respond-async"
    assert int(answered.headers["retry-after"]) >= 1


def test_a_location_with_a_slash_and_unicode_can_be_polled(connection: Connection) -> None:
    body = json.dumps({**PAYMENT, "transaction_id": "a/b ü"}).encode()
    location = connection.post(body, b"Prefer: respond-async").headers["location"]

    connection.send(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % location.encode())

    answered = connection.read()
    assert (answered.status, answered.json["transaction_id"]) == (202, "a/b ü")


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: -1",
        b"Content-Length: abc",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: 99999999999999999999999",
        b"Transfer-Encoding: gzip",
    ],
)
def test_broken_framing_is_a_400_and_the_server_lives(port: int, connection: Connection, lines: bytes) -> None:
    connection.send(HEAD % b"/predict" + lines + b"\r\n\r\nhello")
    assert connection.read().status == 400

    other = Connection(port)
    assert other.post(BODY).status == 200
    other.close()


@pytest.mark.parametrize("garbage", [b"GARBAGE\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9.9\r\n\r\n"])
def test_what_is_not_http_does_not_harm_the_server(port: int, connection: Connection, garbage: bytes) -> None:
    connection.send(garbage)
    connection.socket.shutdown(socket.SHUT_WR)

    other = Connection(port)
    assert other.post(BODY).status == 200
    other.close()


def test_a_body_shorter_than_announced_is_a_problem(connection: Connection) -> None:
    connection.send(HEAD % b"/predict" + b"Content-Length: 500\r\n\r\n" + BODY)
    connection.socket.shutdown(socket.SHUT_WR)

    answered = connection.read()

    assert (answered.status, answered.json["code"]) == (422, "malformed_body")


def test_clients_that_vanish_while_they_send_leave_no_thread_behind(port: int) -> None:
    for _ in range(12):
        leaver = Connection(port)
        leaver.send(HEAD % b"/predict" + b"Content-Length: 2000000\r\n\r\n" + b" " * 1000)
        leaver.close()

    other = Connection(port)
    assert other.post(BODY).status == 200
    other.close()


def test_clients_that_stall_after_their_413_do_not_hold_the_server(port: int) -> None:
    stalled = [Connection(port) for _ in range(12)]
    for one in stalled:
        one.send(HEAD % b"/predict" + b"Content-Length: 2000000\r\n\r\n" + b" " * 1000)
        assert one.read().status == 413

    other = Connection(port)
    assert other.post(BODY).status == 200
    for one in (*stalled, other):
        one.close()


def test_a_slow_client_is_scored_when_it_is_done(connection: Connection) -> None:
    request = HEAD % b"/predict" + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    for start in range(0, len(request), 40):
        connection.send(request[start : start + 40])
        time.sleep(0.01)

    assert connection.read().status == 200


def test_pipelined_payments_are_answered_in_order(connection: Connection) -> None:
    request = HEAD % b"/predict" + b"Content-Length: %d\r\n\r\n"
    for amount in (5, 5000, 6):
        body = json.dumps({**PAYMENT, "amount": amount}).encode()
        connection.send(request % len(body) + body)

    assert [connection.read().json["action"] for _ in range(3)] == ["approve", "decline", "approve"]


def test_clients_that_stall_in_their_bodies_leave_room_for_the_others(port: int) -> None:
    """More of them than may receive at once: what comes next is refused quickly, and pages are still served."""
    stalled = [Connection(port) for _ in range(SERVER_THREADS)]
    for one in stalled:
        one.send(HEAD % b"/predict" + b"Content-Length: 500\r\n\r\n{")
    honest = Connection(port)
    try:
        refused = until(lambda: honest.post(BODY), lambda answered: answered.status != 200)
        assert (refused.status, refused.json["code"]) == (503, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        look = Connection(port)
        look.send(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert look.read().status == 200
        look.close()
    finally:
        for one in (*stalled, honest):
            one.close()
    again = Connection(port)
    until(lambda: again.post(BODY), lambda answered: answered.status == 200)
    again.close()


def test_who_connects_while_a_killed_web_process_is_replaced_waits_and_is_scored(server: RunningGranian) -> None:
    _kill(server.worker_pid())

    waiting = [Connection(server.port) for _ in range(5)]

    for one in waiting:
        one.socket.settimeout(60)
        assert one.post(BODY).status == 200
        one.close()


def _kill(pid: int) -> None:
    """SIGKILL; returns when the process has ended and its sockets are closed."""
    process = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    assert select.select([process], [], [], 10)[0]
    os.close(process)


def until(ask: Callable[[], Answered], is_right: Callable[[Answered], bool]) -> Answered:
    """The first right answer."""
    deadline = time.monotonic() + 20
    while not is_right(answered := ask()):
        assert time.monotonic() < deadline, answered
        time.sleep(0.05)
    return answered
