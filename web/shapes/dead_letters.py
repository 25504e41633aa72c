"""Accepted work that was given up."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from config.queue.dead_letters import Kind


class DeadLetterRecord(msgspec.Struct, frozen=True):
    """Accepted work that was given up.

    `content`: the names that were sent, each with its JSON type, or with its value where `?values=true` asked for it.
    `failure`: why the last attempt that could say so failed; null when its worker died.
    """

    id: str
    kind: Kind
    queue: str
    accepted_at: str
    dead_at: str
    attempts: int
    failure: str | None
    content: dict[str, Any]


class DeadLetterPage(msgspec.Struct, frozen=True):
    """Dead letters, newest first. `next`: where the following page is, None at the end."""

    dead_letters: list[DeadLetterRecord]
    next: str | None


class ReplayRecord(msgspec.Struct, frozen=True):
    """The dead letter has all its attempts again and is on its queue."""

    status: Literal["replayed"]
    id: str
