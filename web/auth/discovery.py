"""Asks an issuer: for its discovery document (OpenID Connect), for its set of JSON Web Keys (RFC 7517)."""

from __future__ import annotations

import http.client
import json
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, Final

from config.errors import AuthUnavailable
from config.settings import Settings

TIMEOUT_S: Final = 3.0
LONGEST_BYTES: Final = 1_048_576


def fetch_keys(settings: Settings) -> Sequence[Mapping[str, Any]]:
    """The keys of `settings.oidc_issuer` as they are now. Raises AuthUnavailable, within seconds."""
    url = settings.oidc_jwks_url or discovered(settings.oidc_issuer, "jwks_uri")["jwks_uri"]
    keys = _read(url).get("keys")
    if not isinstance(keys, list):
        raise AuthUnavailable(f"{url} holds no set of keys")
    return [key for key in keys if isinstance(key, dict)]


def discovered(issuer: str, *members: str) -> dict[str, str]:
    """The addresses that an issuer's discovery document names under these members. Raises AuthUnavailable."""
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    document = _read(url)
    if document.get("issuer") != issuer:
        raise AuthUnavailable(f"{url} is of the issuer {str(document.get('issuer'))[:200]!r}, not of {issuer!r}")
    for member in members:
        found = document.get(member)
        if not isinstance(found, str) or found.partition("://")[0] != issuer.partition("://")[0]:
            raise AuthUnavailable(f"{url} names no {member} that is as safe as the issuer's own address")
    return {member: document[member] for member in members}


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect could lead from https to http: keys that anybody on the way can exchange."""

    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        """None: the redirect itself is the answer, and an error."""
        return


_open = urllib.request.build_opener(_NoRedirects).open


def _read(url: str) -> dict[str, Any]:
    return ask(urllib.request.Request(url))  # noqa: S310  the schemes are checked: https, or http on this machine


def ask(request: urllib.request.Request) -> dict[str, Any]:
    """The JSON object that an issuer answers. Raises AuthUnavailable, within seconds."""
    url = request.full_url
    try:
        with _open(request, timeout=TIMEOUT_S) as answer:
            document = json.loads(answer.read(LONGEST_BYTES))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise AuthUnavailable(f"{url} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise AuthUnavailable(f"{url} holds no JSON object")
    return document
