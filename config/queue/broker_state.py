"""Which errors say that the broker is away or takes no writes, whatever was asked of it."""

from __future__ import annotations

from typing import Final

import redis

_STATES: Final = (redis.ConnectionError, redis.TimeoutError, redis.OutOfMemoryError, redis.ReadOnlyError)
_CODES: Final = ("MISCONF ", "NOREPLICAS ", "BUSY ", "MASTERDOWN ")
"""How the server's answers begin: it cannot write its file, has too few replicas, runs a long script, has no master."""


def is_broker_failure(error: BaseException) -> bool:
    """Whether the same command may succeed later, unchanged. Any other error is about the command itself."""
    return isinstance(error, _STATES) or (isinstance(error, redis.ResponseError) and str(error).startswith(_CODES))
