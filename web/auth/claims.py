"""What a verified token's claims say: whose it is, of which tenant, and which scopes it carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

from config.errors import Unauthenticated
from config.settings import Settings
from config.tenants import DEFAULT_TENANT, is_tenant_name
from web.auth.principal import SCOPES, TENANT_SCOPES, Principal, Scope

_OTHER_SCOPE_CLAIM: Final = "scp"
_SUBJECT_SHOWN: Final = 80


def principal_of_claims(claims: Mapping[str, Any], settings: Settings) -> Principal:
    """Who shows a token with these claims.

    Raises Unauthenticated: they name no subject, or no tenant where one is due.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise Unauthenticated("the token is not accepted: it names no subject", is_shown=True)
    tenant = _tenant(claims, settings.oidc_tenant_claim)
    scopes = _scopes(claims, settings)
    held = scopes if tenant == DEFAULT_TENANT else scopes & TENANT_SCOPES
    # By subject, not by token: a client's limits and idempotency keys outlive the hour that a token lasts.
    credential = f"token:{sha256(f'{settings.oidc_issuer} {subject}'.encode()).hexdigest()[:16]}"
    shown = "".join(letter if letter.isprintable() else "?" for letter in subject[:_SUBJECT_SHOWN])
    return Principal(f"token:{shown}", tenant, held, credential=credential)


def _tenant(claims: Mapping[str, Any], claim: str) -> str:
    if not claim:
        return DEFAULT_TENANT
    tenant = claims.get(claim)
    if not isinstance(tenant, str) or not is_tenant_name(tenant):
        raise Unauthenticated(f"the token is not accepted: its claim {claim!r} names no tenant", is_shown=True)
    return tenant


def _scopes(claims: Mapping[str, Any], settings: Settings) -> frozenset[Scope]:
    given = claims.get(settings.oidc_scope_claim, claims.get(_OTHER_SCOPE_CLAIM))
    words = set(_words(given))
    return frozenset(scope for scope in SCOPES if f"{settings.oidc_scope_prefix}{scope}" in words)


def _words(given: object) -> Iterable[str]:
    if isinstance(given, str):
        return given.split()
    return (word for word in given if isinstance(word, str)) if isinstance(given, list) else ()
