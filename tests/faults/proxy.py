"""A TCP proxy on loopback that a test can make swallow everything, or cut every connection."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

READ_BYTES = 65_536
ACCEPT_TURN_S = 0.1
CONNECT_LIMIT_S = 2.0


class Proxy:
    """Forwards to `target_port` of loopback. `black_hole`: connections are accepted and nothing is forwarded."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._flows = threading.Event()
        self._flows.set()
        self._takes = threading.Event()
        self._takes.set()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def via(self, url: str) -> str:
        """The URL with this proxy's address in place of the server's."""
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=f"127.0.0.1:{self.port}"))

    @contextmanager
    def black_hole(self) -> Iterator[None]:
        """For the length of the block nothing passes, either way; what was under way arrives afterwards."""
        self._flows.clear()
        try:
            yield
        finally:
            self._flows.set()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Reset every connection, and for the length of the block every new one."""
        self._takes.clear()
        self._reset_all()
        try:
            yield
        finally:
            self._takes.set()

    def close(self) -> None:
        """Stop forwarding and close every connection."""
        self._closing.set()
        self._flows.set()
        self._thread.join()
        self._listener.close()
        self._reset_all()

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port), backlog=512)
        listener.settimeout(ACCEPT_TURN_S)
        return listener

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                continue
            if not self._takes.is_set():
                _reset(near)
                continue
            self._connect(near)

    def _connect(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self._target_port), timeout=CONNECT_LIMIT_S)
        except OSError:
            _reset(near)
            return
        near.settimeout(None)
        far.settimeout(None)
        for one in (near, far):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = (near, far)
        with self._lock:
            self._pairs.add(pair)
        for source, sink in (pair, pair[::-1]):
            threading.Thread(target=self._pump, args=(source, sink, pair), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, pair: tuple[socket.socket, socket.socket]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(READ_BYTES):
                self._flows.wait()
                sink.sendall(data)
        self._flows.wait()
        self._forget(pair)

    def _forget(self, pair: tuple[socket.socket, socket.socket]) -> None:
        with self._lock:
            is_first = pair in self._pairs
            self._pairs.discard(pair)
        for one in pair if is_first else ():
            _reset(one)

    def _reset_all(self) -> None:
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            self._forget(pair)


def _reset(connection: socket.socket) -> None:
    """Close with a reset: whoever reads or writes on either end notices at once."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
