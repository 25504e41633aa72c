"""Answers about a transaction that is not decided yet, or was given up."""

from __future__ import annotations

from typing import Literal

import msgspec


class Pending(msgspec.Struct, frozen=True):
    """Accepted, not decided yet: ask at `location` again, `retry_after_s` seconds from now."""

    status: Literal["pending"]
    transaction_id: str
    location: str
    retry_after_s: int


class DeadLettered(msgspec.Struct, frozen=True):
    """Accepted and given up after its last attempt: not decided unless an operator replays it."""

    status: Literal["dead_lettered"]
    transaction_id: str
    location: str
    retry_after_s: int
    detail: str
