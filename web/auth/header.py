"""Credentials in a request's headers: `Authorization: Bearer KEY-OR-TOKEN`, or `X-Api-Key: KEY`."""

from __future__ import annotations

from typing import Any, Final

from config.api_keys import PREFIX
from web.auth.keys import KeyRing
from web.auth.principal import Principal
from web.auth.tokens import TokenVerifier

_DOTS_OF_A_TOKEN: Final = 2


class HeaderWay:
    """The way of programs. `tokens`: None where no issuer is trusted."""

    def __init__(self, keys: KeyRing, tokens: TokenVerifier | None = None) -> None:
        self._keys = keys
        self._tokens = tokens

    def __call__(self, environ: dict[str, Any]) -> Principal | None:
        """See `web.auth.door.Way`."""
        text = shown_in(environ)
        if text is None:
            return None
        if self._tokens is not None and not text.startswith(PREFIX) and text.count(".") == _DOTS_OF_A_TOKEN:
            return self._tokens.find(text)
        return self._keys.find(text)


def shown_in(environ: dict[str, Any]) -> str | None:
    """The key or token that a request shows; of two the one in Authorization."""
    scheme, _, rest = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return str(rest.strip())
    return environ.get("HTTP_X_API_KEY", "").strip() or None
