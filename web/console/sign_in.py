"""/console/login and /console/logout: people show an API key, or sign in at the issuer, and have a session."""

from __future__ import annotations

from typing import Final

import structlog
from flask import Blueprint, Response, g, redirect, request
from werkzeug import Response as AnyResponse

from config.errors import AuthUnavailable, TollgateError, UnknownId
from web.address import address_of
from web.auth.cookies import SESSION, SIGN_IN, cookie_in, drop_cookie, require_safe_way, set_cookie
from web.auth.next_path import HOME, local_path
from web.auth.principal import Principal, principal_of
from web.auth.sessions import Sessions, SignedIn
from web.auth.sign_in import LASTS_S, IssuerSignIn
from web.console.allowed import pages_for
from web.console.page import CONTENT_POLICY, is_for_people, page
from web.console.refusal import LOGIN
from web.console.visitor import meet_visitor, remember_visitor
from web.limits.tries import require_tries
from web.problems import as_response, problem_answer
from web.services import Services

_TOO_MANY: Final = 429
_log = structlog.get_logger("tollgate.web")


def sign_in_pages(services: Services) -> Blueprint:
    """The routes of this module, outside the console's own guard: whoever comes here has no session yet."""
    blueprint = Blueprint("sign_in", __name__, url_prefix=HOME)
    access = services.access
    blueprint.before_request(meet_visitor)
    blueprint.after_request(remember_visitor)

    @blueprint.errorhandler(TollgateError)
    def _refused(error: TollgateError) -> Response:
        services.metrics.count_sign_in(_outcome(error))
        _log.warning("sign_in_refused", address=address_of(request), code=error.code, detail=error.detail)
        return _answer(services, error)

    @blueprint.get("/login")
    def get_login() -> AnyResponse:
        if access.door.is_open or g.visitor.is_signed_in:
            return redirect(_wanted() or home_of(principal_of(request.environ)), 303)
        return _form(services)

    @blueprint.post("/login")
    def post_login() -> AnyResponse:
        key = request.form.get("key", "").strip()
        if access.door.is_open:
            return redirect(HOME, 303)
        require_safe_way(request.environ)
        require_tries(request.environ)
        signed_in = _required(access.sessions).begin_with_key(key)
        return _begun(services, signed_in, _wanted(), way="key")

    @blueprint.get("/login/issuer")
    def get_issuer() -> AnyResponse:
        require_safe_way(request.environ)
        return _to_issuer(_known(access.issuer))

    @blueprint.get("/login/callback")
    def get_callback() -> AnyResponse:
        require_safe_way(request.environ)
        return _back_from(_known(access.issuer), services)

    @blueprint.post("/logout")
    def post_logout() -> AnyResponse:
        if access.sessions is not None and g.visitor.is_signed_in:
            access.sessions.end(g.visitor.secret)
            _log.info("signed_out", name=g.visitor.name)
        response = redirect(LOGIN, 303)
        drop_cookie(response, request, SESSION)
        return response

    return blueprint


def _to_issuer(issuer: IssuerSignIn) -> AnyResponse:
    """Send the browser there, with a cookie for the way back."""
    at_issuer = issuer.begin(redirect_url=f"{request.host_url}console/login/callback", next_path=_wanted())
    response = redirect(at_issuer.url, 303)
    set_cookie(response, request, SIGN_IN, at_issuer.secret, max_age_s=LASTS_S)
    return response


def _back_from(issuer: IssuerSignIn, services: Services) -> AnyResponse:
    """The session of somebody who comes back from there."""
    sessions = _required(services.access.sessions)
    found = issuer.finish(cookie_in(request.environ, SIGN_IN), request.args.to_dict())
    response = _begun(services, sessions.begin_with_issuer(found.principal), found.next_path, way="issuer")
    drop_cookie(response, request, SIGN_IN)
    return response


def _begun(services: Services, signed_in: SignedIn, next_path: str, *, way: str) -> AnyResponse:
    """A session of its own for each sign-in: what the browser held before is worth nothing from now on."""
    before = cookie_in(request.environ, SESSION)
    if before:
        _required(services.access.sessions).end(before)
    services.metrics.count_sign_in("signed_in")
    _log.info("signed_in", name=signed_in.principal.name, address=address_of(request), way=way)
    response = redirect(next_path or home_of(signed_in.principal), 303)
    set_cookie(response, request, SESSION, signed_in.secret)
    return response


def home_of(principal: Principal) -> str:
    """The first page of the navigation that somebody may see."""
    return next((link.path for link in pages_for(principal)), HOME)


def _wanted() -> str:
    return local_path(request.values.get("next", ""))


def _form(services: Services, error: TollgateError | None = None) -> Response:
    status, has_issuer = error.status if error is not None else 200, services.access.issuer is not None
    response = page("login.html", here="", status=status, error=error, has_issuer=has_issuer, next_path=_wanted())
    if services.settings.public_domain:
        response.headers["Content-Security-Policy"] = _policy(services.settings.public_domain)
    return response


def _policy(domain: str) -> str:
    """Chromium asks the policy also about where a form's answer redirects: the proxy's pages come after the login."""
    return CONTENT_POLICY.replace("form-action 'self'", f"form-action 'self' https://*.{domain}")


def _answer(services: Services, error: TollgateError) -> Response:
    """The form once more with what is wrong; a problem document for programs."""
    answer = problem_answer(error)
    if not is_for_people(request):
        return as_response(answer)
    response = _form(services, error)
    response.headers.extend([one for one in answer.headers if one[0] in ("Retry-After", "WWW-Authenticate")])
    return response


def _outcome(error: TollgateError) -> str:
    if isinstance(error, AuthUnavailable):
        return "unavailable"
    return "limited" if error.status == _TOO_MANY else "refused"


def _required(sessions: Sessions | None) -> Sessions:
    if sessions is None:
        raise AuthUnavailable("this server keeps no sessions: nobody can sign in")
    return sessions


def _known(issuer: IssuerSignIn | None) -> IssuerSignIn:
    if issuer is None:
        raise UnknownId("no issuer is trusted with signing in here (TOLLGATE_OIDC_CLIENT_ID)")
    return issuer
