"""Dead letters that nobody replayed in time are dropped."""

from __future__ import annotations

from typing import Any

import structlog

from config import names
from config.queue.server_scripts import register
from workers.background import BackgroundRuntime

LETTERS_PER_TICK = 1000

log = structlog.get_logger(__name__)


def drop_dead_letters(runtime: BackgroundRuntime) -> dict[str, int]:
    """Drop those older than `dead_letter_ttl_s`; each is named in the log. Raises RedisError."""
    dropped: Any = register(runtime.client, "forget")(
        keys=[names.DEAD_LETTERS],
        args=[
            names.inbox_key(""),
            runtime.settings.dead_letter_ttl_s,
            LETTERS_PER_TICK,
            names.seen_key(""),
            names.SET_APART,
        ],
    )
    for entry in dropped:
        log.warning("dead_letter_dropped", entry=entry.decode())
    return {"dead_letters": len(dropped)}
