"""Tollgate over HTTP as the bulk commands use it: a file goes up, a stream comes down, each on its own connection."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, BinaryIO, Final, NamedTuple
from urllib.parse import urlsplit

from deploy.access import headers_for, require_admitted
from deploy.traffic.client import Unreachable

BLOCK_BYTES: Final = 262_144
TIMEOUT_S: Final = 60.0
_BROKEN: Final = (OSError, http.client.HTTPException)


class Answered(NamedTuple):
    """An answer: status, JSON body ({} when it is none), headers by lower-case name."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]

    @property
    def retry_after_s(self) -> float:
        """When to ask again; 0 when the answer does not say."""
        value = self.headers.get("retry-after", "")
        return float(value) if value.isdigit() else 0.0

    @property
    def why(self) -> str:
        """What the answer says about itself, for people."""
        return f"{self.status} {self.body.get('code', '')}: {self.body.get('detail', '')}".strip()


class BulkServer:
    """One server. Nothing is kept open between calls, so a restart in between goes unnoticed."""

    def __init__(self, url: str, *, key: str = "", timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not an http:// or https:// URL")
        self.url = url.rstrip("/")
        self._prefix = parts.path.rstrip("/")
        self._address = (parts.hostname, parts.port)
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._timeout_s = timeout_s
        self._shown = headers_for(key)

    def get(self, path: str) -> Answered:
        """Raises Unreachable, AccessRefused."""
        connection = self._connection()
        try:
            connection.request("GET", self._prefix + path, headers=self._shown)
            return self._admitted(_answered(connection.getresponse()))
        except _BROKEN as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

    def upload(
        self, path: str, file: BinaryIO, size: int, headers: Mapping[str, str], on_bytes: Callable[[int], None]
    ) -> Answered:
        """POST a file. A refusal that comes while it still goes up is read all the same.

        Raises Unreachable, AccessRefused.
        """
        connection = self._connection()
        try:
            given = {**self._shown, **headers, "Content-Length": str(size)}
            try:
                connection.request("POST", self._prefix + path, _blocks(file, on_bytes), given)
            except (BrokenPipeError, ConnectionResetError):
                if connection.sock is None:  # it never was open
                    raise
                # The server may have answered before it closed: then that is the answer.
                with suppress(*_BROKEN):
                    early = _answered(connection.response_class(connection.sock, method="POST"), must_begin=True)
                    return self._admitted(early)
                raise
            return self._admitted(_answered(connection.getresponse()))
        except _BROKEN as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

    def download(self, path: str, to: BinaryIO, on_bytes: Callable[[int], None]) -> Answered:
        """GET into a file, at most as far as the answer is a 200.

        Raises Unreachable (also when it broke off), AccessRefused.
        """
        connection = self._connection()
        try:
            connection.request("GET", self._prefix + path, headers=self._shown)
            response = connection.getresponse()
            if response.status != 200:
                return self._admitted(_answered(response))
            missing = int(response.getheader("Content-Length", "-1"))
            while block := response.read(BLOCK_BYTES):
                to.write(block)
                on_bytes(len(block))
                missing -= len(block)
            if missing > 0:
                raise ConnectionError(f"the answer broke off {missing} bytes before its end")
            return Answered(200, {}, _headers(response))
        except _BROKEN as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

    def _admitted(self, answered: Answered) -> Answered:
        require_admitted(answered.status, self.url, str(answered.body.get("detail", "")))
        return answered

    def _connection(self) -> http.client.HTTPConnection:
        return self._kind(*self._address, timeout=self._timeout_s)

    def _unreachable(self, error: BaseException) -> Unreachable:
        return Unreachable(f"{self.url}: {error or type(error).__name__}")


def _blocks(file: BinaryIO, on_bytes: Callable[[int], None]) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        yield block
        on_bytes(len(block))


def _answered(response: http.client.HTTPResponse, *, must_begin: bool = False) -> Answered:
    if must_begin:
        response.begin()
    try:
        body = json.loads(response.read())
    except ValueError:
        body = {}
    return Answered(response.status, body if isinstance(body, dict) else {}, _headers(response))


def _headers(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}
