"""The key that model bundles are signed with, one per process: `load_settings` installs it before anything is loaded.

Process-wide on purpose: a dozen places load bundles, and the one that forgot the key would unpickle what nobody signed.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from config.settings import Settings

SHORTEST: Final = 32

_key: bytes | None = None


def install_key_of(settings: Settings) -> None:
    """`install_key` with what the settings say. Raises ValueError."""
    install_key(settings.bundle_key, settings.bundle_key_file)


def install_key(key: str, key_file: str) -> None:
    """Sign and verify with `key`, else with what `key_file` holds; with neither, not at all.

    Raises ValueError: the file cannot be read, or the key is shorter than 32 characters.
    """
    global _key
    text = key or (_read(Path(key_file)) if key_file else "")
    if text and len(text) < SHORTEST:
        raise ValueError(f"a bundle key has at least {SHORTEST} characters (openssl rand -hex 32)")
    _key = text.encode() or None


def has_key() -> bool:
    """Whether this process signs bundles and refuses those that are not signed."""
    return _key is not None


def sign(manifest: bytes) -> bytes | None:
    """The signature of a manifest: HMAC-SHA256 in hex; None without a key."""
    return hmac.new(_key, manifest, hashlib.sha256).hexdigest().encode() if _key else None


def is_signed(manifest: bytes, signature: bytes) -> bool:
    """Whether the signature is that of the manifest under this process's key."""
    expected = sign(manifest)
    return expected is not None and hmac.compare_digest(expected, signature.strip())


def _read(path: Path) -> str:
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not text:
        raise ValueError(f"{path} is empty")
    return text
