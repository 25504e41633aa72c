"""Who is asking: what limits and Idempotency-Keys are counted by."""

from __future__ import annotations

from flask import Request


def client_of(request: Request) -> str:
    """The address that the request came from."""
    return request.remote_addr or "unknown"
