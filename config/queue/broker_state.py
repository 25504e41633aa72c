"""Which errors say that the broker is away or takes no writes, whatever was asked of it."""

from __future__ import annotations

from typing import Final

import redis

_STATES: Final = (
    *(redis.ConnectionError, redis.TimeoutError),
    *(redis.OutOfMemoryError, redis.ReadOnlyError, redis.exceptions.MasterDownError),
)
_CODES: Final = ("MISCONF ", "NOREPLICAS ", "BUSY ")
"""How answers begin that redis-py has no class for: no room for its file, too few replicas, a long script runs."""


def is_broker_failure(error: BaseException) -> bool:
    """Whether the same command may succeed later, unchanged. Any other error is about the command itself."""
    return isinstance(error, _STATES) or (isinstance(error, redis.ResponseError) and str(error).startswith(_CODES))
