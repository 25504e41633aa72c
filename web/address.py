"""Who is asking: what limits and Idempotency-Keys are counted by."""

from __future__ import annotations

from flask import Request


def address_of(request: Request) -> str:
    """The address that the request came from: limits and keys are counted by what a client cannot choose."""
    return request.remote_addr or "unknown"
