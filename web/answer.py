"""What a view on the hot path returns: status line, headers and bytes, before any framework object exists."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, NamedTuple

JSON: Final = "application/json"
PROBLEM_JSON: Final = "application/problem+json"

STATUS_LINES: Final = {int(status): f"{int(status)} {status.phrase}" for status in HTTPStatus}


class Answer(NamedTuple):
    """An HTTP answer. `must_drain`: it was made before the request's body was read."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    must_drain: bool = False


def json_answer(status: int, body: bytes, *headers: tuple[str, str], content_type: str = JSON) -> Answer:
    """An answer with its Content-Type and Content-Length, then `headers`."""
    return Answer(status, [("Content-Type", content_type), ("Content-Length", str(len(body))), *headers], body)
