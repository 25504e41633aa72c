"""JSON over one kept-alive HTTP connection per thread. The standard library does it; the demo needs no more."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from config.errors import TollgateError
from deploy.access import headers_for, require_admitted


class Unreachable(TollgateError):
    """Nothing answers at the URL."""

    code = "unreachable"
    status = 503
    title = "Nothing answers"


class Reply(NamedTuple):
    """An answer: HTTP status, parsed JSON ({} when it is none), how long it took, and its Retry-After (or 1 s)."""

    status: int
    body: dict[str, Any]
    took_ms: float
    retry_after_s: float = 1.0


class JsonClient:
    """Requests to one server; threads may share it, each has its own connection."""

    def __init__(self, url: str, *, key: str = "", timeout_s: float = 10.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not an http:// or https:// URL")
        self.url = url.rstrip("/")
        self._prefix = parts.path.rstrip("/")
        self._host, self._port = parts.hostname, parts.port
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._timeout_s = timeout_s
        self._shown = headers_for(key)
        self._local = threading.local()
        self._open: list[http.client.HTTPConnection] = []

    def get(self, path: str) -> Reply:
        """Raises Unreachable, AccessRefused."""
        return self._request("GET", path, None, {})

    def post(self, path: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> Reply:
        """Raises Unreachable, AccessRefused."""
        return self._request("POST", path, json.dumps(body).encode(), headers or {})

    def post_lines(self, path: str, rows: Sequence[dict[str, Any]]) -> Reply:
        """Post NDJSON. Raises Unreachable, AccessRefused."""
        lines = "".join(f"{json.dumps(row)}\n" for row in rows)
        return self._request("POST", path, lines.encode(), {"Content-Type": "application/x-ndjson"})

    def close(self) -> None:
        """Close every thread's connection."""
        for connection in self._open:
            connection.close()

    def _request(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        content_type = {"Content-Type": "application/json"} if body is not None else {}
        connection = self._connection()
        started = time.perf_counter()
        try:
            connection.request(method, self._prefix + path, body, {**content_type, **self._shown, **headers})
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()  # the next request connects again
            raise Unreachable(f"{self.url}: {error or type(error).__name__}") from error
        took_ms = (time.perf_counter() - started) * 1000
        parsed = _parsed(content)
        require_admitted(response.status, self.url, str(parsed.get("detail", "")))
        return Reply(response.status, parsed, took_ms, _seconds(response.getheader("Retry-After")))

    def _connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._kind(self._host, self._port, timeout=self._timeout_s)
            self._local.connection = connection
            self._open.append(connection)
        return connection


def _seconds(retry_after: str | None) -> float:
    return float(retry_after) if retry_after and retry_after.isdigit() else 1.0


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(content)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
