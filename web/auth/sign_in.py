"""Signing in at the issuer: OpenID Connect's authorization code flow, with PKCE, state and nonce.

A browser that begins gets a cookie; what belongs to it waits in the store for the browser to come back, once.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from hmac import compare_digest
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import msgspec

from config import names
from config.errors import SettingInvalid, SignInFailed, Unauthenticated
from config.given_secrets import given_secret
from config.settings import Settings
from web.auth.claims import principal_of_claims
from web.auth.code_exchange import Client, challenge_of, exchange_code
from web.auth.discovery import discovered
from web.auth.issuer_keys import IssuerKeys
from web.auth.principal import Principal
from web.auth.session_store import SessionStore
from web.auth.sessions import digest_of
from web.auth.tokens import TokenVerifier

LASTS_S: Final = 600
"""For how long somebody may be asked for a password, and for whatever else the issuer wants."""

_AUTHORIZE: Final = "authorization_endpoint"
_EXCHANGE: Final = "token_endpoint"


class Begun(NamedTuple):
    """Where the browser goes, and what its cookie holds meanwhile."""

    url: str
    secret: str


class Recognised(NamedTuple):
    """Who signed in, and which page they came for."""

    principal: Principal
    next_path: str


class _Waiting(msgspec.Struct, frozen=True):
    state: str
    nonce: str
    verifier: str
    redirect_url: str
    next_path: str


class IssuerSignIn:
    """`tokens`: verifies id tokens, whose audience is our client id."""

    def __init__(self, settings: Settings, client: Client, tokens: TokenVerifier, store: SessionStore) -> None:
        self._settings = settings
        self._client = client
        self._tokens = tokens
        self._store = store

    def begin(self, *, redirect_url: str, next_path: str) -> Begun:
        """Send somebody to the issuer. Raises AuthUnavailable."""
        endpoint = discovered(self._settings.oidc_issuer, _AUTHORIZE)[_AUTHORIZE]
        url = self._settings.oidc_redirect_url or redirect_url
        waiting = _Waiting(_random(), _random(), _random(), url, next_path)
        secret = _random()
        self._store.keep(_key(secret), msgspec.json.encode(waiting), for_s=LASTS_S)
        return Begun(f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(self._question(waiting))}", secret)

    def finish(self, secret: str, answer: Mapping[str, str]) -> Recognised:
        """Who comes back from the issuer. `answer`: the query that it sent the browser with.

        Raises SignInFailed, AuthUnavailable.
        """
        kept = self._store.take(_key(secret))
        if kept is None:
            raise SignInFailed("this browser began no sign-in, or more than ten minutes ago; sign in again")
        waiting = msgspec.json.decode(kept, type=_Waiting)
        code = self._code(answer, waiting)
        endpoint = discovered(self._settings.oidc_issuer, _EXCHANGE)[_EXCHANGE]
        token = exchange_code(
            self._client, endpoint, code=code, verifier=waiting.verifier, redirect_url=waiting.redirect_url
        )
        return Recognised(self._principal(token, waiting), waiting.next_path)

    def _question(self, waiting: _Waiting) -> dict[str, str]:
        return {
            "response_type": "code",
            "client_id": self._client.client_id,
            "redirect_uri": waiting.redirect_url,
            "scope": self._settings.oidc_login_scopes,
            "state": waiting.state,
            "nonce": waiting.nonce,
            "code_challenge": challenge_of(waiting.verifier),
            "code_challenge_method": "S256",
        }

    def _code(self, answer: Mapping[str, str], waiting: _Waiting) -> str:
        if not compare_digest(answer.get("state", "").encode(), waiting.state.encode()):
            raise SignInFailed("the answer belongs to another sign-in than the one that this browser began last")
        # RFC 9207: an answer of another issuer that this browser was sent to must not be taken for ours.
        if answer.get("iss", self._settings.oidc_issuer) != self._settings.oidc_issuer:
            raise SignInFailed("the answer is of another issuer")
        if "code" not in answer:
            raise SignInFailed(f"the issuer says {answer.get('error', 'nothing')[:80]!r}")
        return answer["code"]

    def _principal(self, token: str, waiting: _Waiting) -> Principal:
        try:
            claims, _ = self._tokens.verify(token)
            self._require_ours(claims, waiting)
            principal = principal_of_claims(claims, self._settings)
        except Unauthenticated as error:
            raise SignInFailed(error.detail) from error
        if not principal.scopes:
            raise SignInFailed(f"{principal.name} may do nothing here: the id token carries none of our scopes")
        return principal

    def _require_ours(self, claims: Mapping[str, Any], waiting: _Waiting) -> None:
        if not compare_digest(str(claims.get("nonce", "")).encode(), waiting.nonce.encode()):
            raise Unauthenticated("the id token was made for another sign-in")
        is_shared = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if is_shared and claims.get("azp") != self._client.client_id:
            raise Unauthenticated("the id token was made for another client")


def sign_in_of(settings: Settings, keys: IssuerKeys | None, store: SessionStore | None) -> IssuerSignIn | None:
    """Signing in at the issuer of the settings; None where it does not know us. Raises SettingInvalid."""
    if not settings.oidc_client_id:
        return None
    if keys is None:
        raise SettingInvalid("TOLLGATE_OIDC_CLIENT_ID: needs TOLLGATE_OIDC_ISSUER")
    if store is None:
        return None
    secret = given_secret("TOLLGATE_OIDC_CLIENT_SECRET", settings.oidc_client_secret, settings.oidc_client_secret_file)
    tokens = TokenVerifier(settings, keys, audience=settings.oidc_client_id)
    return IssuerSignIn(settings, Client(settings.oidc_client_id, secret), tokens, store)


def _random() -> str:
    return secrets.token_urlsafe(32)


def _key(secret: str) -> str:
    return names.sign_in_key(digest_of(secret))
