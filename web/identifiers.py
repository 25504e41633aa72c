"""Ids that the web side gives out, the bounds of those that clients send, and who the client says it is."""

from __future__ import annotations

import os
import time
from typing import Any, Final

from config.errors import FieldError, InvalidRequest, UnknownId
from ml.policy import CLIENT_NAME

ID_MAX_LENGTH: Final = 128


def new_id() -> str:
    """32 hex characters that sort by the millisecond they were made in (the layout of a UUID version 7)."""
    random = int.from_bytes(os.urandom(10), "big")
    stamp = time.time_ns() // 1_000_000
    # 48 bits of time, version 7, 12 random bits, variant 10, 62 random bits.
    bits = stamp << 80 | 0x7 << 76 | (random >> 68) << 64 | 0b10 << 62 | random & (2**62 - 1)
    return f"{bits:032x}"


def known_length(text: str, *, longest: int = ID_MAX_LENGTH) -> str:
    """`text`, when it can be an id at all. Raises UnknownId."""
    if not 0 < len(text) <= longest or not text.isprintable():
        raise UnknownId(f"no id has {len(text)} characters or characters that cannot be printed")
    return text


def client_of(environ: dict[str, Any]) -> str:
    """The name that a client gives itself by the header Tollgate-Client; empty when it gives none.

    It is a claim and no proof: it chooses how a late score is answered, and nothing that must be kept from others.

    Raises: InvalidRequest.
    """
    name: str = environ.get("HTTP_TOLLGATE_CLIENT", "")
    if name and not CLIENT_NAME.fullmatch(name):
        message = "must have 1 to 64 visible ASCII characters"
        wrong = FieldError("Tollgate-Client", "malformed", message)
        raise InvalidRequest(f"the header Tollgate-Client {message}", errors=(wrong,))
    return name
