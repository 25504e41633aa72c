"""The back channel of a sign-in: a code that the browser brought becomes an id token (RFC 6749, RFC 7636)."""

from __future__ import annotations

import base64
import urllib.request
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from urllib.error import HTTPError
from urllib.parse import quote, urlencode

from config.errors import AuthUnavailable, SignInFailed
from web.auth.discovery import ask

_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Client:
    """Who we are to the issuer. `secret`: None for a public client, which PKCE protects alone."""

    client_id: str
    secret: str | None = None


def exchange_code(client: Client, endpoint: str, *, code: str, verifier: str, redirect_url: str) -> str:
    """The id token that the issuer gives for a code, not verified yet. Raises SignInFailed, AuthUnavailable."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_url,
        "code_verifier": verifier,
        "client_id": client.client_id,
    }
    request = urllib.request.Request(endpoint, urlencode(form).encode(), _headers(client))  # noqa: S310  https, checked
    try:
        token = ask(request).get("id_token")
    except AuthUnavailable as error:
        if isinstance(error.__cause__, HTTPError) and error.__cause__.code < 500:
            raise SignInFailed(
                "the issuer does not take the code: it was used, or is too old; sign in again"
            ) from error
        raise
    if not isinstance(token, str):
        raise SignInFailed("the issuer gave no id token; TOLLGATE_OIDC_LOGIN_SCOPES must contain openid")
    return token


def challenge_of(verifier: str) -> str:
    """What the issuer is told before it knows the verifier (PKCE, S256).

    >>> challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")  # RFC 7636, appendix B
    'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
    """
    return base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _headers(client: Client) -> dict[str, str]:
    headers = {"Content-Type": _FORM, "Accept": "application/json"}
    if client.secret is None:
        return headers
    shown = f"{quote(client.client_id, safe='')}:{quote(client.secret, safe='')}"
    return {**headers, "Authorization": f"Basic {base64.b64encode(shown.encode()).decode()}"}
