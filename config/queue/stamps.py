"""When a message was pushed: the header that every message of Tollgate carries, and how to read it. No Celery here."""

from __future__ import annotations

import json

ENQUEUED_HEADER = "enqueued_ms"


def read_stamp(message: bytes | None) -> int:
    """When a message of a queue was pushed, Unix ms on the server's clock; 0 without message or stamp."""
    try:
        stamp = json.loads(message or b"{}")["headers"][ENQUEUED_HEADER]
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0
    return stamp if isinstance(stamp, int) else 0
