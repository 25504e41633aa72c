"""Ask a running web server whether it is ready."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from deploy.access import headers_for

TIMEOUT_S = 3.0


def ask_health(host: str, port: int, key: str = "") -> tuple[int | None, dict[str, Any] | None]:
    """The status code and the body of GET /health; None and None when nobody answers.

    `key`: what is shown; without one a server that asks for keys says no more than whether it scores.
    """
    request = urllib.request.Request(f"http://{host}:{port}/health", headers=headers_for(key))
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310  as above
            return int(answer.status), _object(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _object(error.read())
    except OSError:
        return None, None


def answers(url: str) -> bool:
    """Whether a GET of an http(s) URL is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310  from the settings, not a client
            return int(answer.status) == 200
    except OSError:
        return False


def reachable_at(host: str) -> str:
    """Where a server that binds `host` is reached from this machine."""
    return "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104  compared, not bound


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        decoded = json.loads(body)
    except ValueError:
        return None
    return decoded if isinstance(decoded, dict) else None
