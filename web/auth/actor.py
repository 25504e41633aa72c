"""Who did something, for the audit trail, and whose work is counted together."""

from __future__ import annotations

from typing import Any, Final

from flask import Request

from config.tenants import prefix_for
from web.address import address_of
from web.auth.principal import ANYBODY, principal_of

API: Final = "api"


def actor_of(environ: dict[str, Any], *, otherwise: str = API) -> str:
    """What the audit trail calls who asks; `otherwise` where nobody shows credentials."""
    principal = principal_of(environ)
    return otherwise if principal is ANYBODY else principal.name


def caller_of(request: Request) -> str:
    """What limits and Idempotency-Keys are counted by: the credential, else the address. A client chooses neither.

    The tenant stands in front, as of all that is kept: a batch belongs to the tenant of who sent it.
    """
    principal = principal_of(request.environ)
    return prefix_for(principal.tenant) + (principal.credential or address_of(request))
