"""What an open stack asks all the same: that no page of another site is behind a request.

Where nobody shows credentials, the browser on this machine is a way in from outside: any page that it shows can send a
form to loopback, and a page whose own name is made to point at loopback (DNS rebinding) could read the answers as well.
Programs send none of the headers that are looked at here, but Host.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from config.errors import CrossSiteRequest

_SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")
_OWN_SITE: Final = ("same-origin", "none")
_NEVER_PUBLIC: Final = ("localhost", "internal", "test")
"""Nobody can register a name that ends so (RFC 6761; `host.docker.internal` is a container's word for this machine)."""


def require_own_site(environ: dict[str, Any]) -> None:
    """Pass what a program asks, a person, or a page of this very server. Raises CrossSiteRequest."""
    host = environ.get("HTTP_HOST", "")
    if is_public_name(host):
        raise CrossSiteRequest(
            f"{host[:80]!r} is no name of this machine, and nobody is asked for credentials here: ask localhost,"
            " or start with --auth"
        )
    if environ["REQUEST_METHOD"] not in _SAFE_METHODS and _is_of_another_site(environ, host):
        raise CrossSiteRequest("the browser says that another site asked for this; start with --auth to use keys")


@lru_cache(maxsize=256)
def is_public_name(host: str) -> bool:
    """Whether a Host header is a name that somebody can have registered and pointed at this machine.

    >>> [is_public_name(host) for host in ("localhost:8000", "127.0.0.1", "[::1]:80", "web", "host.docker.internal")]
    [False, False, False, False, False]
    >>> is_public_name("rebound.example.com:8000"), is_public_name("localhost.example.com")
    (True, True)
    """
    try:
        name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return True
    if "." not in name or name.rpartition(".")[2] in _NEVER_PUBLIC:
        return False
    return not _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_of_another_site(environ: dict[str, Any], host: str) -> bool:
    """By the browser's word, which no page can make it say; older ones say at least where the page is from."""
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return site not in _OWN_SITE
    origin = environ.get("HTTP_ORIGIN")
    return origin is not None and origin.partition("://")[2] != host
