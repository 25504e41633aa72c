"""API keys as text: `tg_`, a visible id of 8 characters, `_`, a secret of 43 (256 random bits).

Only the SHA-256 of the whole text is stored: nobody can guess 256 random bits, so a slow hash would protect nothing
and cost milliseconds on every payment (ADR 34).
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

PREFIX: Final = "tg_"
SHORTEST_GIVEN: Final = 32
"""Characters of a key that an operator makes up (TOLLGATE_ADMIN_KEY): `openssl rand -hex 32` has 64."""

_ID_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"
_ID_LENGTH: Final = 8
_SECRET_BYTES: Final = 32
_SHAPE: Final = re.compile(r"tg_([a-z0-9]{8})_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was made just now: its `text` is shown once and kept nowhere."""

    key_id: str
    text: str

    @property
    def digest(self) -> str:
        """What is stored of it."""
        return digest_of(self.text).hex()


def new_key() -> NewKey:
    """A key that nobody has had before."""
    key_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
    return NewKey(key_id, f"{PREFIX}{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}")


def key_id_of(text: str) -> str | None:
    """The visible id in a key's text; None when it cannot be a key of ours."""
    found = _SHAPE.fullmatch(text)
    return found[1] if found else None


def digest_of(text: str) -> bytes:
    """SHA-256 of a key's text, 32 bytes."""
    return sha256(text.encode()).digest()
