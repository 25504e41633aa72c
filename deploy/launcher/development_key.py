"""The development key: `.tollgate/dev-key`, with which programs on this machine come in when keys are asked for."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from hmac import compare_digest
from pathlib import Path
from typing import Final

from config.api_keys import digest_of, key_id_of
from config.settings import Settings
from deploy.access import DEVELOPMENT_KEY
from ml.ledger import Ledger
from web.auth.key_desk import KeyDesk, KeyWish
from web.auth.principal import SCOPES

NAME: Final = "development"
ACTOR: Final = "tollgate up"


def key_path(settings: Settings) -> Path:
    """Where the key is."""
    return settings.data_dir / DEVELOPMENT_KEY


def ensure_development_key(settings: Settings, ledger: Ledger) -> None:
    """Return when the file holds a key that is in force; makes one where it does not.

    The file is readable by its owner alone. Raises LedgerUnavailable.
    """
    path, now = key_path(settings), datetime.now(UTC)
    if _is_in_force(ledger, _read(path), now):
        path.chmod(0o600)
        return
    wish = KeyWish(NAME, SCOPES, kind="development")
    _write(path, KeyDesk(ledger.keys).create(wish, actor=ACTOR, now=now).text)


def _is_in_force(ledger: Ledger, text: str, now: datetime) -> bool:
    key_id = key_id_of(text)
    if key_id is None:
        return False
    return any(
        key.key_id == key_id and key.is_in_force(now) and compare_digest(key.digest, digest_of(text).hex())
        for key in ledger.keys.all()
    )


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{text}\n")
