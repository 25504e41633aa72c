"""What a command shows to the server that it asks: an API key, given, of the settings, or the development key."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import click

from config.errors import TollgateError
from config.loopback import is_loopback
from config.settings import Settings

DEVELOPMENT_KEY: Final = "dev-key"
"""Name of the file in the data directory that `tollgate up` writes."""

api_key_option = click.option(
    "--api-key", metavar="KEY", help="What to show the server [TOLLGATE_API_KEY; on this machine .tollgate/dev-key]."
)


class AccessRefused(TollgateError):
    """The server does not let this command in."""

    code = "access_refused"
    status = 403
    title = "Not let in"


def key_for(url: str, settings: Settings, given: str | None = None) -> str:
    """The key to show at `url`; empty when there is none. The development key leaves this machine never."""
    if given or settings.api_key:
        return given or settings.api_key
    if not is_loopback(urlsplit(url).hostname or ""):
        return ""
    try:
        return (settings.data_dir / DEVELOPMENT_KEY).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def headers_for(key: str) -> dict[str, str]:
    """The headers that show a key; none without one."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def require_admitted(status: int, url: str, detail: str) -> None:
    """Pass every answer but those of a closed door. Raises AccessRefused, with what to do."""
    if status == 401:
        raise AccessRefused(f"{url} asks for an API key: give --api-key or set TOLLGATE_API_KEY ({detail})")
    if status == 403:
        raise AccessRefused(f"{url} does not let this key do that: {detail}")
