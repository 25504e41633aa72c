"""What a tenant may be called."""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
WORDS: Final = "1 to 32 lower-case letters, digits and -"


def is_tenant_name(text: str) -> bool:
    """Whether a tenant can have this name: it becomes a part of keys in the broker.

    >>> [is_tenant_name(name) for name in ("default", "acme-eu", "", "a:b", "-")]
    [True, True, False, False, False]
    """
    return _NAME.fullmatch(text) is not None
