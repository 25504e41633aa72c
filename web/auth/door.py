"""The door: who asks is found here, once, before anything else is told to them.

A way looks at a request and says whose it is: `HeaderWay` reads keys and tokens, `SessionWay` the cookie of who has
signed in. The first way that recognises somebody counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from config.errors import Forbidden, TollgateError, Unauthenticated
from web.auth.neighbours import require_own_site
from web.auth.principal import NOBODY, Principal, remember_principal
from web.auth.rights import Right

Way = Callable[[dict[str, Any]], Principal | None]
"""Whose request a WSGI environment is; None when it shows nothing that this way reads.

Raises Unauthenticated (what it shows is not accepted), AuthUnavailable.
"""

_NOTHING_SHOWN: Final = "show an API key or a token: Authorization: Bearer KEY"


class Door:
    """`ways` in the order of asking; None: everybody on this machine is anybody (TOLLGATE_AUTH=off), and only
    pages of other sites are kept out.

    `on_refused` is called with the code of every refusal.
    """

    def __init__(self, ways: Sequence[Way] | None, *, on_refused: Callable[[str], None] = lambda _code: None) -> None:
        self._ways = ways
        self._on_refused = on_refused

    @property
    def is_open(self) -> bool:
        """Whether everybody comes in."""
        return self._ways is None

    def admit(self, environ: dict[str, Any], right: Right) -> None:
        """Let a request in, and remember whose it is.

        Raises Unauthenticated, Forbidden, AuthUnavailable; CrossSiteRequest where nobody shows credentials.
        """
        if self._ways is None:
            require_own_site(environ)
            return
        remember_principal(environ, NOBODY)
        try:
            principal = self._recognise(environ)
            # Also of those who are refused: their page says who is signed in.
            remember_principal(environ, principal)
            if not right.is_held_by(principal):
                raise Forbidden(f"this needs the scope {right.words}; {principal.name} does not hold it")
        except TollgateError as error:
            if not right.is_public:
                self._on_refused(error.code)
                raise

    def _recognise(self, environ: dict[str, Any]) -> Principal:
        principal = self._identify(environ)
        if principal is None:
            raise Unauthenticated(_NOTHING_SHOWN)
        return principal

    def _identify(self, environ: dict[str, Any]) -> Principal | None:
        for way in self._ways or ():
            principal = way(environ)
            if principal is not None:
                return principal
        return None


OPEN_DOOR: Final = Door(None)
"""Everybody is `ANYBODY`, but for pages of other sites."""
