"""One keep-alive connection with at most one request on its way. The engine in `load.py` owns these."""

from __future__ import annotations

import socket

from deploy.bench.wire import MalformedResponseError, Response, Target, read_response

READ_BYTES = 65_536


class ConnectionLostError(Exception):
    """The request on this connection will not be answered; the message is the reason, a bounded word."""


class Connection:
    """A non-blocking socket and the request on it.

    `due_at`: when the request was meant to be sent; `sent_at`: when it was handed to the socket (both on the
    engine's clock, seconds). `wants_write` is true while the socket connects or its send buffer is full.
    """

    __slots__ = ("_buffer", "_socket", "_target", "_unsent", "due_at", "sent_at", "wants_write")

    def __init__(self, target: Target) -> None:
        self._target = target
        self._socket = socket.socket()
        self._buffer = b""
        self._unsent = b""
        self.due_at = 0.0
        self.sent_at = 0.0
        self.wants_write = False

    def fileno(self) -> int:
        return self._socket.fileno()

    def open(self) -> None:
        """Start connecting with a fresh socket. A failure shows when the socket is next used."""
        self._socket.close()
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._unsent = b""
        self.wants_write = True
        self._socket.connect_ex((self._target.host, self._target.port))

    def close(self) -> None:
        self._socket.close()

    def send(self, request: bytes, *, due_at: float, now: float) -> None:
        """Start one request. Raises ConnectionLostError."""
        self.due_at = due_at
        self.sent_at = now
        self._unsent = request
        if not self.wants_write:
            self.flush()

    def flush(self) -> None:
        """Write what the socket takes; called again when it can take more. Raises ConnectionLostError."""
        try:
            written = self._socket.send(self._unsent) if self._unsent else 0
        except BlockingIOError:
            written = 0
        except OSError as error:
            raise _lost(error) from error
        self._unsent = self._unsent[written:]
        self.wants_write = bool(self._unsent)

    def receive(self) -> Response | None:
        """Read what has arrived; the response once it is complete.

        Raises:
            ConnectionLostError: closed or reset before the response was complete.
            MalformedResponseError: not HTTP, or more bytes than the response has.
        """
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            raise _lost(error) from error
        self._buffer = self._buffer + data if self._buffer else data
        response = read_response(self._buffer, at_end=not data)
        if response is None:
            if not data:
                raise ConnectionLostError("closed")
            return None
        if response.length != len(self._buffer):
            raise MalformedResponseError("more bytes than the response has")
        self._buffer = b""
        return response


def _lost(error: OSError) -> ConnectionLostError:
    return ConnectionLostError("refused" if isinstance(error, ConnectionRefusedError) else "reset")
