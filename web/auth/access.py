"""Everything that tells who asks, put together from the settings by `web.wsgi`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import structlog

from config.errors import LedgerUnavailable, SettingInvalid
from config.loopback import is_loopback
from config.settings import Settings
from web.auth.discovery import fetch_keys
from web.auth.door import OPEN_DOOR, Door, Way
from web.auth.header import HeaderWay
from web.auth.issuer_keys import IssuerKeys
from web.auth.key_desk import KeyDesk, KeyStore
from web.auth.keys import KeyRing, given_keys
from web.auth.passes import Passes
from web.auth.session_store import SessionStore
from web.auth.session_way import SessionWay
from web.auth.sessions import Sessions
from web.auth.sign_in import IssuerSignIn, sign_in_of
from web.auth.tokens import TokenVerifier
from web.metrics import WebMetrics

_log = structlog.get_logger("tollgate.web")


@dataclass(frozen=True, slots=True)
class Access:
    """`door`: in front of every route. `desk`: where keys are made. `refresh`: reads keys anew, never raises.

    `sessions`: of people who sign in, `passes`: theirs to pages behind the proxy; None where nobody does.
    `issuer`: where they may sign in instead of showing a key; None where no issuer knows us.
    """

    door: Door
    desk: KeyDesk
    refresh: Callable[[], None] = field(default=lambda: None)
    sessions: Sessions | None = None
    issuer: IssuerSignIn | None = None
    passes: Passes | None = None


def make_access(
    settings: Settings, store: KeyStore, metrics: WebMetrics, *, kept: SessionStore | None = None
) -> Access:
    """What the settings ask for. `kept`: where sessions are; None: nobody signs in. Opens nothing.

    Raises SettingInvalid.
    """
    desk = KeyDesk(store)
    if settings.auth == "off":
        return Access(OPEN_DOOR, desk)
    ring = KeyRing(store, is_local=is_loopback(settings.host), given=given_keys(settings))
    issuer = issuer_of(settings)
    tokens = TokenVerifier(settings, issuer) if issuer is not None else None
    sessions = Sessions(settings, kept, ring) if kept is not None else None
    passes = Passes(settings, kept, sessions) if kept is not None and sessions is not None else None
    ways: list[Way] = [HeaderWay(ring, tokens), *([SessionWay(sessions)] if sessions is not None else [])]
    door = Door(ways, on_refused=metrics.count_auth_refused)
    sign_in = sign_in_of(settings, issuer, kept)
    return Access(door, desk, _Refresh(ring, issuer, metrics), sessions, sign_in, passes)


def issuer_of(settings: Settings) -> IssuerKeys | None:
    """The keys of the issuer that is trusted; None without one. Raises SettingInvalid."""
    if not settings.oidc_issuer:
        return None
    if not settings.oidc_audience:
        raise SettingInvalid(
            "TOLLGATE_OIDC_AUDIENCE: needed with TOLLGATE_OIDC_ISSUER, or tokens for other services would open this one"
        )
    return IssuerKeys(partial(fetch_keys, settings), refresh_s=settings.oidc_refresh_s)


def keep_fresh(access: Access, every_s: float) -> None:
    """Read keys now and then every `every_s`, in a thread of its own, for as long as the process lives."""
    if access.door.is_open:
        return

    def read_for_ever() -> None:
        waiting = threading.Event()
        while not waiting.wait(every_s):
            access.refresh()

    access.refresh()
    threading.Thread(target=read_for_ever, name="api-keys", daemon=True).start()


class _Refresh:
    """Reads keys anew, and tells the log when that begins to fail and when it works again.

    Fails open and shut at once: the last table stays in force, so nobody is locked out and nobody new comes in.
    """

    def __init__(self, ring: KeyRing, issuer: IssuerKeys | None, metrics: WebMetrics) -> None:
        self._ring = ring
        self._issuer = issuer
        self._metrics = metrics
        self._is_failing = False

    def __call__(self) -> None:
        """Never raises."""
        try:
            self._ring.refresh()
            self._note(is_failing=False)
        except LedgerUnavailable as error:
            self._note(is_failing=True, detail=error.detail)
        if self._issuer is not None:
            self._issuer.refresh()

    def _note(self, *, is_failing: bool, detail: str = "") -> None:
        self._metrics.count_key_read("failed" if is_failing else "read")
        if is_failing != self._is_failing:
            self._is_failing = is_failing
            _log.warning("api_keys_not_read" if is_failing else "api_keys_read_again", detail=detail)
