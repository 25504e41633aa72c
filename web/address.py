"""Where a request comes from: what is counted by where nobody shows credentials."""

from __future__ import annotations

from flask import Request


def address_of(request: Request) -> str:
    """The address that the request came from: limits and keys are counted by what a client cannot choose."""
    return request.remote_addr or "unknown"
