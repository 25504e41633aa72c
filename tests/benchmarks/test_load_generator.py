"""The load generator against a real socket server on loopback that behaves, lies, stalls and dies."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from deploy.bench.bodies import builtin_bodies
from deploy.bench.load import Load, run_load
from deploy.bench.wire import parse_target, request_bytes

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Handler = Callable[[socket.socket, bytes], bool]


@contextmanager
def serving(handle: Handler) -> Iterator[str]:
    """A server that calls `handle(connection, request)` for each request; the connection stays while it says True."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    open_connections: list[socket.socket] = []

    def converse(connection: socket.socket) -> None:
        with connection:
            try:
                while (request := connection.recv(65536)) and handle(connection, request):
                    pass
            except OSError:
                return  # the client has gone

    def accept() -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return  # the listener was closed: the test is over
            open_connections.append(connection)
            threading.Thread(target=converse, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/predict"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in open_connections:
            connection.close()


def answer(connection: socket.socket, request: bytes) -> bool:
    connection.sendall(OK)
    return True


def run(url: str, **load: object):
    settings = {"connections": 4, "seconds": 0.3, "warm_up_s": 0.05, "timeout_s": 0.2, **load}
    return run_load(Load(url, **settings))


def test_a_closed_loop_keeps_its_connections_and_sends_the_bodies_in_turn():
    seen, connections = set(), set()

    def remember(connection: socket.socket, request: bytes) -> bool:
        seen.add(request.partition(b"\r\n\r\n")[2])
        connections.add(connection)
        return answer(connection, request)

    with serving(remember) as url:
        result = run(url)
    assert seen <= set(builtin_bodies())
    assert len(seen) > len(connections)
    assert len(connections) == 4
    assert result.statuses == {"200": result.completed}
    assert result.completed > 0
    assert (result.errors, result.timeouts, result.unsent) == ({}, 0, 0)


def test_an_open_loop_sends_what_it_planned():
    with serving(answer) as url:
        result = run(url, rate=100.0)
    assert result.latency_ms.count in (30, 31)  # the window may begin and end on a due time
    assert result.mode == "open"


def test_a_stalled_server_shows_in_the_latency_of_everything_that_was_due():
    with serving(lambda connection, request: True) as url:
        result = run(url, rate=100.0, connections=2)
    assert result.completed == 0
    assert result.latency_ms.count in (30, 31)
    assert result.timeouts + result.unsent >= result.latency_ms.count
    assert result.latency_ms.p50 > 50


def test_a_connection_that_the_server_closes_is_opened_again():
    def answer_and_close(connection: socket.socket, request: bytes) -> bool:
        connection.sendall(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        return False

    with serving(answer_and_close) as url:
        result = run(url)
    assert result.completed > 4
    assert result.errors == {}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [(b"", "closed"), (OK[:-1], "closed"), (b"nonsense\r\n\r\n", "malformed"), (OK + b"more", "malformed")],
)
def test_an_answer_that_is_cut_short_or_wrong_is_an_error(reply, reason):
    def send_reply(connection: socket.socket, request: bytes) -> bool:
        connection.sendall(reply)
        return False

    with serving(send_reply) as url:
        result = run(url)
    assert set(result.errors) == {reason}
    assert result.completed == 0


def test_an_answer_in_pieces_is_put_together():
    def send_pieces(connection: socket.socket, request: bytes) -> bool:
        for start in range(0, len(OK), 7):
            connection.sendall(OK[start : start + 7])
        return True

    with serving(send_pieces) as url:
        result = run(url)
    assert result.completed > 0
    assert result.errors == {}


def test_a_port_that_nobody_listens_on_is_refused_and_not_hammered():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    result = run(f"http://127.0.0.1:{port}/")
    assert set(result.errors) == {"refused"}
    assert result.errors["refused"] < 100


def test_a_large_body_arrives_whole(tmp_path):
    body = json.dumps({"text": "x" * 3_000_000}).encode()
    file = tmp_path / "body.ndjson"
    file.write_bytes(body)
    expected = len(request_bytes(parse_target("http://127.0.0.1:1/predict"), body))
    received = bytearray()

    def read_all(connection: socket.socket, request: bytes) -> bool:
        received.extend(request)
        if received.endswith(b'x"}'):
            connection.sendall(OK)
            received_lengths.append(len(received))
            received.clear()
        return True

    received_lengths: list[int] = []
    with serving(read_all) as url:
        load = Load(url, bodies=str(file), connections=1, seconds=0.3, warm_up_s=0, timeout_s=2)
        result = run_load(load)
    assert result.completed > 0
    assert all(abs(length - expected) < 10 for length in received_lengths)  # the port has other digits


def test_the_cost_of_the_server_is_measured_per_request():
    with serving(answer) as url:
        load = Load(url, connections=2, seconds=0.3, warm_up_s=0.05)
        result = run_load(load, pids=[os.getpid()])
    assert result.cpu["ms_per_request"] > 0
    assert result.cpu["memory_mb"] > 0


def test_the_command_prints_one_line_of_json():
    with serving(answer) as url:
        argv = [sys.executable, "-m", "deploy.bench.load", "--url", url, "--seconds", "0.2", "--warm-up", "0"]
        done = subprocess.run(argv, capture_output=True, check=True, text=True)
    result = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert result["statuses"] == {"200": result["completed"]}


def test_the_command_refuses_another_host():
    argv = [sys.executable, "-m", "deploy.bench.load", "--url", "http://192.0.2.1/predict"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 1
    assert "loopback" in done.stderr
