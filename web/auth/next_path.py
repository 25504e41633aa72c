"""Where somebody goes after signing in: to a page of this host, whatever the link said that brought them."""

from __future__ import annotations

from typing import Final

HOME: Final = "/console"
_LONGEST: Final = 2000
_LEAD_BACK: Final = ("/console/login", "/console/logout")


def local_path(text: str) -> str:
    """The path and query `text` when it is of this host and no part of signing in; else empty.

    Browsers read a backslash as a slash and drop line breaks and tabs, so that `/\\t/host` is another host.

    >>> [local_path(text) for text in ("/console/drift?x=1", "//host", "/\\\\host", "https://host", "/\\t/host", "")]
    ['/console/drift?x=1', '', '', '', '', '']
    """
    is_local = text.startswith("/") and not text.startswith(("//", *_LEAD_BACK))
    return text if is_local and len(text) <= _LONGEST and text.isprintable() and "\\" not in text else ""
