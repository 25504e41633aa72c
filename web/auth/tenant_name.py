"""What a tenant may be called."""

from __future__ import annotations

from typing import Final

from config.tenants import TENANT_NAME

WORDS: Final = "1 to 32 lower-case letters, digits and -"


def is_tenant_name(text: str) -> bool:
    """Whether a tenant can have this name: it becomes a part of every id that is kept.

    >>> [is_tenant_name(name) for name in ("default", "acme-eu", "", "a:b", "-")]
    [True, True, False, False, False]
    """
    return TENANT_NAME.fullmatch(text) is not None
