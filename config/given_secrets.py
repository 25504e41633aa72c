"""Secrets that an operator gives by the environment, or by a file whose name the environment says."""

from __future__ import annotations

from pathlib import Path

from config.api_keys import SHORTEST_GIVEN
from config.errors import SettingInvalid


def given_key(setting: str, text: str, file: str) -> str | None:
    """The key `text`, else what `file` holds; None when neither is given.

    Raises SettingInvalid: it has fewer than 32 characters, or the file cannot be read.
    """
    found = given_secret(setting, text, file)
    if found is None:
        return None
    if len(found) < SHORTEST_GIVEN or not found.isascii() or not found.isprintable() or " " in found:
        raise SettingInvalid(
            f"{setting}: needs {SHORTEST_GIVEN} visible ASCII characters or more (openssl rand -hex 32)"
        )
    return found


def given_secret(setting: str, text: str, file: str) -> str | None:
    """The secret `text`, else what `file` holds; None when neither is given. Raises SettingInvalid."""
    if not text and not file:
        return None
    return text or _read(setting, Path(file))


def _read(setting: str, path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingInvalid(f"{setting}_FILE: {path} cannot be read: {error}") from error
