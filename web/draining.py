"""Letting a client that still sends read its answer.

A server that closes while its client sends makes the kernel reset the connection, and the client loses the answer.
So where an answer is made before the body was read, it leaves first and the rest is read and forgotten behind it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from threading import BoundedSemaphore
from typing import Any, Final

from config.errors import BodyTooSlow

DRAIN_LIMIT_BYTES: Final = 64 * 1024 * 1024
DRAIN_LIMIT_S: Final = 5.0
DRAIN_PIECE_BYTES: Final = 65_536
# Reading makes granian send "100 Continue" unless the answer is on its way: give that a head start.
HEAD_START_S: Final = 0.05


def has_body(environ: dict[str, Any]) -> bool:
    """Whether the request announces a body."""
    return environ.get("CONTENT_LENGTH", "") not in ("", "0") or "HTTP_TRANSFER_ENCODING" in environ


class DrainedBody:
    """An answer's chunks; then the server's thread stays with it and reads on, within the limits above.

    Granian's input knows no time limit, and reading it on another thread past the end of the answer locks up the
    process (granian 2.8.7: the reader keeps the GIL). So a client that stalls without closing holds its thread until
    `web.slow_clients` ends its connection, and only as many drains run as `allowed` has room for: the other threads of
    the server stay free to score.
    """

    def __init__(self, chunks: Iterable[bytes], environ: dict[str, Any], allowed: BoundedSemaphore) -> None:
        self._chunks = chunks
        self._environ = environ
        self._allowed = allowed

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks
        if not self._allowed.acquire(blocking=False):
            return
        try:
            if "HTTP_EXPECT" in self._environ:
                time.sleep(HEAD_START_S)
            drain(self._environ["wsgi.input"])
        finally:
            self._allowed.release()

    def close(self) -> None:
        """Close what was wrapped, as WSGI asks."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()


def drain(source: Any) -> int:
    """Read and forget what a client sends, within the limits above. Returns the bytes read."""
    stop_at, taken = time.monotonic() + DRAIN_LIMIT_S, 0
    while taken < DRAIN_LIMIT_BYTES and time.monotonic() < stop_at:
        try:
            piece = source.read(DRAIN_PIECE_BYTES)
        except BodyTooSlow:
            break  # its connection was ended; the answer is out
        if not piece:
            break
        taken += len(piece)
    return taken
