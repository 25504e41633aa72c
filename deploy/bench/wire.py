"""HTTP/1.1 as the load generator needs it: whole requests as bytes, and where a response ends."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

BODYLESS = frozenset({204, 304})


class MalformedResponseError(Exception):
    """The server sent something that is not an HTTP/1.1 response."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the load goes. Always this machine: `parse_target` refuses any other."""

    host: str
    port: int
    path: str


class Response(NamedTuple):
    """A complete response: its `status`, how many bytes it took, and whether the connection stays open."""

    status: int
    length: int
    keep_alive: bool


def parse_target(url: str) -> Target:
    """Take an `http://` URL apart.

    Raises:
        ValueError: not http, or a host that is not this machine's loopback (a load generator pointed at
            somebody else's server is an attack).
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"{url!r} is not an http:// URL")
    host = _loopback(parts.hostname)
    path = parts.path or "/"
    return Target(host, parts.port or 80, f"{path}?{parts.query}" if parts.query else path)


def _loopback(host: str) -> str:
    try:
        address = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
    except OSError as error:
        raise ValueError(f"{host!r} is not a loopback address") from error
    if not ip_address(str(address)).is_loopback:
        raise ValueError(f"{host!r} is not a loopback address; the load generator only loads this machine")
    return str(address)


def request_bytes(target: Target, body: bytes, *, method: str = "POST") -> bytes:
    """One keep-alive request with a JSON body, ready to be written to a socket."""
    head = (
        f"{method} {target.path} HTTP/1.1\r\n"
        f"Host: {target.host}:{target.port}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def read_response(data: bytes, *, at_end: bool = False) -> Response | None:
    """The response at the start of `data`, or None while bytes are missing.

    `at_end` says that the server has closed the connection, which is how a response without a length ends.
    Interim responses (1xx) are skipped.

    Raises:
        MalformedResponseError: no status line, or lengths that cannot be read.
    """
    head_end = data.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    head = data[:head_end].lower()
    status = _status(head)
    body_start = head_end + 4
    if status < 200:
        return _after_interim(data, body_start, at_end)
    keep_alive = head.find(b"\r\nconnection: close") < 0 and not head.startswith(b"http/1.0")
    if status in BODYLESS:
        return Response(status, body_start, keep_alive)
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        length = body_start + _number(head[at + 17 :].split(b"\r\n", 1)[0], 10)
        return Response(status, length, keep_alive) if len(data) >= length else None
    if head.find(b"\r\ntransfer-encoding: chunked") >= 0:
        end = _chunked_end(data, body_start)
        return Response(status, end, keep_alive) if end is not None else None
    return Response(status, len(data), keep_alive=False) if at_end else None


def _status(head: bytes) -> int:
    if not head.startswith(b"http/1."):
        raise MalformedResponseError(f"not a status line: {head[:40]!r}")
    return _number(head[9:12], 10)


def _number(text: bytes, base: int) -> int:
    try:
        return int(text, base)
    except ValueError as error:
        raise MalformedResponseError(f"not a number: {text[:20]!r}") from error


def _after_interim(data: bytes, start: int, at_end: bool) -> Response | None:
    final = read_response(data[start:], at_end=at_end)
    return final and Response(final.status, start + final.length, final.keep_alive)


def _chunked_end(data: bytes, position: int) -> int | None:
    """Where the chunked body that starts at `position` ends, None while chunks or trailers are missing."""
    while True:
        line_end = data.find(b"\r\n", position)
        if line_end < 0:
            return None
        size = _number(data[position:line_end].split(b";", 1)[0], 16)
        if size == 0:
            return _trailers_end(data, line_end)
        position = line_end + 2 + size + 2
        if position > len(data):
            return None


def _trailers_end(data: bytes, line_end: int) -> int | None:
    end = data.find(b"\r\n\r\n", line_end)
    return end + 4 if end >= 0 else None
