"""Who a request comes from: found once, at the door, and read by everything behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from config.tenants import DEFAULT_TENANT

Scope = Literal["score", "feedback", "read", "review", "operate", "admin", "metrics"]
SCOPES: Final[tuple[Scope, ...]] = ("score", "feedback", "read", "review", "operate", "admin", "metrics")
TENANT_SCOPES: Final[frozenset[Scope]] = frozenset(("score", "feedback", "read", "review"))
"""What credentials of any other tenant than the default one may hold: models and dead letters are everybody's."""
_ENVIRON: Final = "tollgate.principal"


@dataclass(frozen=True, slots=True)
class Principal:
    """`name`: what the audit trail calls them. `credential`: the visible id of the key, token or session that was
    shown, empty for nobody's; limits are counted by it. `tenant`: whose data they see.
    """

    name: str
    tenant: str
    scopes: frozenset[Scope]
    credential: str = ""

    def may(self, scope: Scope) -> bool:
        """Whether they hold the scope; `admin` holds every one."""
        return scope in self.scopes or "admin" in self.scopes


ANYBODY: Final = Principal("anybody", DEFAULT_TENANT, frozenset(SCOPES))
"""Every request of a stack that asks for no credentials (TOLLGATE_AUTH=off)."""

NOBODY: Final = Principal("nobody", DEFAULT_TENANT, frozenset())
"""A request to a public route that shows no credentials, where others must show some."""


def remember_principal(environ: dict[str, Any], principal: Principal) -> None:
    """Keep who was found at the door with their request."""
    environ[_ENVIRON] = principal


def principal_of(environ: dict[str, Any]) -> Principal:
    """Who a WSGI request comes from."""
    principal: Principal = environ.get(_ENVIRON, ANYBODY)
    return principal
