"""Whose a thing is: the tenant is part of every id and entity value that is kept, in front of what the client sent.

What the default tenant sends is kept as it is, so nothing changes for who has one tenant. Everybody else's ids are
kept as `TENANT`, `SEPARATOR`, id. No client can send the separator: ids, categories and label ids are refused when they
hold control characters. So two tenants' Redis keys, ledger rows and histories differ by themselves.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

DEFAULT_TENANT: Final = "default"
SEPARATOR: Final = "\x1f"
_TYPED: Final = "\\x1f"
NAME_WORDS: Final = "1 to 32 lower-case letters, digits and -"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


def is_tenant_name(text: str) -> bool:
    """Whether a tenant can have this name: it becomes a part of every id that is kept.

    >>> [is_tenant_name(name) for name in ("default", "acme-eu", "", "a:b", "-")]
    [True, True, False, False, False]
    """
    return _NAME.fullmatch(text) is not None


def prefix_for(tenant: str) -> str:
    """What stands in front of this tenant's ids; empty for the default tenant.

    >>> prefix_for("acme") + "t-1", prefix_for("default") + "t-1"
    ('acme\\x1ft-1', 't-1')

    Raises ValueError: that is no name of a tenant, and ids would not keep it apart.
    """
    if tenant == DEFAULT_TENANT:
        return ""
    if not is_tenant_name(tenant):
        raise ValueError(f"{tenant!r} is no name of a tenant")
    return f"{tenant}{SEPARATOR}"


def prefix_of(kept_id: str) -> str:
    """What stands in front of an id as it is kept, separator included: 40 ns where there is none.

    >>> prefix_of("acme\\x1ft-1"), prefix_of("t-1")
    ('acme\\x1f', '')
    """
    return kept_id[: kept_id.index(SEPARATOR) + 1] if SEPARATOR in kept_id else ""


def tenant_of(kept_id: str) -> str:
    """The tenant that an id as it is kept belongs to.

    >>> tenant_of("acme\\x1ft-1"), tenant_of("t-1")
    ('acme', 'default')
    """
    return kept_id[: kept_id.index(SEPARATOR)] if SEPARATOR in kept_id else DEFAULT_TENANT


def sent_id(kept_id: str) -> str:
    """An id as its tenant knows it.

    >>> sent_id("acme\\x1ft-1"), sent_id("t-1")
    ('t-1', 't-1')
    """
    return kept_id[kept_id.find(SEPARATOR) + 1 :]


def kept_digest(prefix: str, digest: str) -> str:
    """The digest of a content as it is kept: labels by content must not find another tenant's payment.

    `digest`: 16 hex characters, and so is what comes back; unchanged without a prefix.
    """
    return blake2b(f"{prefix}{digest}".encode(), digest_size=8).hexdigest() if prefix else digest


def sent_json(decision: bytes, prefix: str) -> bytes:
    """A decision as JSON with its transaction id as its tenant sent it. `prefix`: what stands in front of it.

    The text that is looked for has quotes of its own, and within a JSON text a quote is escaped: only the member
    itself is found.
    """
    if not prefix:
        return decision
    member = '"transaction_id":"'
    return decision.replace(f"{member}{prefix[:-1]}\\u001f".encode(), member.encode(), 1)


def told(kept_id: str) -> str:
    """An id as it is kept for an operator's eyes and keyboard: the separator is four characters that can be typed.

    >>> print(told("acme\\x1ft-1"))
    acme\\x1ft-1
    """
    return kept_id.replace(SEPARATOR, _TYPED)


def typed(text: str) -> str:
    """The id that `told` showed. A client's own id may hold those four characters too: look for it as it is first."""
    return text.replace(_TYPED, SEPARATOR)
