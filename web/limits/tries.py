"""What a login asks before it looks at a password: whether its address has tries left."""

from __future__ import annotations

from typing import Any, Final, Protocol

_ENVIRON: Final = "tollgate.tries"


class Tries(Protocol):
    """Counts wrong credentials by address (`web.limits.door.FailedCredentials`)."""

    def require(self, environ: dict[str, Any]) -> None:
        """Pass while the address has tries left. Raises RateLimited."""


def remember_tries(environ: dict[str, Any], tries: Tries) -> None:
    """Keep who counts with the request."""
    environ[_ENVIRON] = tries


def require_tries(environ: dict[str, Any]) -> None:
    """Pass while the request's address has tries left, and always where nothing is limited. Raises RateLimited."""
    tries: Tries | None = environ.get(_ENVIRON)
    if tries is not None:
        tries.require(environ)
