"""Clients that stall, on a real server: each is dropped with 408 or without an answer, the others never notice."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.granian_server import HEAD, SERVER_THREADS, Answered, Connection, running_granian
from tests.web_app import PAYMENT

BODY = json.dumps(PAYMENT).encode()
TIMEOUT_S = 2.0
PATIENCE_S = 10.0


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    settings = {"body_timeout_s": str(TIMEOUT_S), "max_wait_s": "1"}
    with running_granian(tmp_path_factory.mktemp("data"), **settings) as server:
        yield server.port


def stall(port: int, path: bytes = b"/predict") -> Connection:
    """A client that sends one byte of its body and no more."""
    opened = Connection(port)
    opened.send(HEAD % path + b"Content-Length: 500\r\n\r\n{")
    return opened


def drip(port: int, stop: threading.Event) -> Connection:
    """A client that sends a byte of its body ten times a second."""
    opened = stall(port)

    def feed() -> None:
        with suppress(OSError):
            while not stop.wait(0.1):
                opened.send(b" ")

    threading.Thread(target=feed, daemon=True).start()
    return opened


def test_stalled_and_drip_fed_clients_are_dropped_while_an_honest_one_is_served(port: int) -> None:
    """All from one address, at the same time, with an honest client that keeps its connection open between payments."""
    stop = threading.Event()
    slow = [stall(port, b"/feedback"), drip(port, stop)]
    sneaky = Connection(port)
    sneaky.send(
        HEAD % b"/predict" + b"Content-Length: 3\r\n\r\n{,}" + HEAD % b"/predict" + b"Content-Length: 9\r\n\r\n{"
    )
    half_a_head = Connection(port)
    half_a_head.send(b"POST /predict HTTP/1.1\r\nHost: loc")
    honest = Connection(port)
    scored = 0
    deadline = time.monotonic() + PATIENCE_S
    try:
        while not all(one.has_answer() for one in slow):
            assert time.monotonic() < deadline
            assert honest.post(BODY).status == 200
            scored += 1
            time.sleep(0.05)
        assert [status_and_code(one.read()) for one in slow] == [(408, "body_too_slow")] * 2
        assert all(is_closed(one) for one in slow)
        assert scored > 10
        assert sneaky.read().status == 422
        assert sneaky.read().status == 408, "its second request had begun before the first was answered"
        assert is_closed(half_a_head), "by the server's own limit for headers"
    finally:
        stop.set()
        for one in (*slow, sneaky, half_a_head, honest):
            one.close()


def test_more_stalled_clients_than_threads_hold_the_server_for_their_time_only(port: int) -> None:
    stalled = [stall(port) for _ in range(2 * SERVER_THREADS)]
    other = Connection(port)
    deadline = time.monotonic() + 2 * PATIENCE_S
    while other.post(BODY).status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert {one.read().status for one in stalled} <= {408, 503}
    for one in (*stalled, other):
        one.close()


def status_and_code(answered: Answered) -> tuple[int, str]:
    return answered.status, answered.json["code"]


def is_closed(connection: Connection) -> bool:
    """Whether the server closes the connection before the test gives up."""
    connection.socket.settimeout(PATIENCE_S)
    with suppress(ConnectionResetError):
        return connection.socket.recv(1, socket.MSG_WAITALL) == b""
    return True
