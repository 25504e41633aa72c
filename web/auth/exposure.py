"""A process that other machines reach must ask who is there, and somebody must be able to answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from config.errors import LedgerUnavailable, SettingInvalid
from config.loopback import is_loopback
from config.settings import Settings
from ml.ledger.key_book import StoredKey
from web.auth.key_desk import KeyStore
from web.auth.keys import given_keys


def require_credentials(settings: Settings, read: Callable[[], Sequence[StoredKey] | None], now: datetime) -> None:
    """Pass when only this machine reaches the web side, or it asks for credentials and there are real ones.

    Real: an issued key in force, an issuer of tokens, TOLLGATE_ADMIN_KEY. A development key is none. `read`: the
    table, read where it matters; None when it cannot be read now, which stops nothing: nobody comes in by it either.

    Raises SettingInvalid.
    """
    if is_loopback(settings.host):
        return
    if settings.auth != "required":
        raise SettingInvalid(
            f"TOLLGATE_HOST: {settings.host} is reached by other machines, and TOLLGATE_AUTH is off: everybody there"
            " could score, read and promote. Set TOLLGATE_AUTH=required (tollgate up --auth), or bind 127.0.0.1"
        )
    is_administered = any(given.principal.may("admin") for given in given_keys(settings))
    if not (is_administered or settings.oidc_issuer or _has_issued(read(), now)):
        raise SettingInvalid(
            f"TOLLGATE_HOST: {settings.host} is reached by other machines, and nobody could come in: there is no key."
            " Set TOLLGATE_ADMIN_KEY (openssl rand -hex 32), TOLLGATE_OIDC_ISSUER, or make a key first:"
            " tollgate keys create --name NAME --scopes admin"
        )


def stored_keys(store: KeyStore) -> Sequence[StoredKey] | None:
    """What the table holds; None when it cannot be read."""
    try:
        return store.all()
    except LedgerUnavailable:
        return None


def _has_issued(keys: Sequence[StoredKey] | None, now: datetime) -> bool:
    return keys is None or any(key.kind == "issued" and key.is_in_force(now) for key in keys)
