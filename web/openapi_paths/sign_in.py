"""Signing in to the console and out of it."""

from __future__ import annotations

from typing import Any, Final

from web.openapi_paths.console_parts import SEE_OTHER, TAG, change, page
from web.openapi_paths.parts import TEXT, operation, problems, query

_FORM: Final = {
    "type": "object",
    "required": ["key", "token"],
    "properties": {"key": {"type": "string"}, "token": {"type": "string"}, "next": {"type": "string"}},
}


def sign_in_paths() -> dict[str, Any]:
    """Path -> method -> operation. Public, but for signing out; what comes of a sign-in is a cookie."""
    after = query("next", TEXT, "The page to go to afterwards: a path of this host.")
    sent = {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": _FORM}}}
    form = page("Sign in", "getLogin", parameters=[after])
    form["responses"].update(SEE_OTHER)
    back = [query(name, TEXT, "What the issuer sends.") for name in ("code", "state", "iss", "error")]
    issuer = {**SEE_OTHER, **problems(403, 404, 503)}
    return {
        "/console/login": {
            "get": form,
            "post": change("Sign in with a key", "signIn", SEE_OTHER, 401, 429, 503, name="", requestBody=sent),
        },
        "/console/login/issuer": {
            "get": operation(TAG, "Sign in at the issuer", "signInAtIssuer", parameters=[after], responses=issuer)
        },
        "/console/login/callback": {
            "get": operation(TAG, "Back from the issuer", "finishSignIn", parameters=back, responses=issuer)
        },
        "/console/logout": {"post": change("Sign out", "signOut", SEE_OTHER, name="")},
    }
