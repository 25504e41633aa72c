"""Reading a request's body from the WSGI environment: media type, size, then bytes.

Flask's `request` does the same for 20 us more and parses forms on the way; single payments are read here.
"""

from __future__ import annotations

import re
from typing import Any, Final

from config.errors import BodyTooLarge, MalformedBody, UnsupportedMediaType

_JSON_TYPE: Final = re.compile(r"application/(?:json|[\w.!#$&^-]+\+json)", re.ASCII)
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([^\";\s]*)\"?", re.IGNORECASE)


def require_json(environ: dict[str, Any]) -> None:
    """Pass `application/json` and `application/*+json`, in UTF-8.

    Raises:
        UnsupportedMediaType: anything else, or no Content-Type at all.
    """
    content_type = environ.get("CONTENT_TYPE", "")
    if content_type == "application/json":
        return
    media_type = content_type.partition(";")[0].strip().lower()
    if not _JSON_TYPE.fullmatch(media_type):
        sent = f"Content-Type is {media_type[:80]!r}" if media_type else "no Content-Type was sent"
        raise UnsupportedMediaType(f"{sent}; send application/json")
    charset = _CHARSET.search(content_type)
    if charset and charset[1].lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType(f"charset is {charset[1][:40]!r}; JSON is read as utf-8 only")


def read_body(environ: dict[str, Any], limit_bytes: int) -> bytes:
    """The whole body, at most `limit_bytes`; nothing is read when its declared length is over the limit.

    Raises:
        BodyTooLarge: it is larger, as declared or as sent.
        MalformedBody: it ended early, or its Content-Length is not a number.
    """
    declared = environ.get("CONTENT_LENGTH")
    if not declared:
        return _read_chunked(environ, limit_bytes)
    if not (declared.isascii() and declared.isdigit()):
        raise MalformedBody(f"Content-Length is {declared[:40]!r}, not a number of bytes")
    length = int(declared[:20])
    if length > limit_bytes:
        raise _too_large(limit_bytes)
    body = _read_up_to(environ["wsgi.input"], length)
    if len(body) < length:
        raise MalformedBody(f"the body ended after {len(body)} of the {length} bytes that were announced")
    return body


def _read_chunked(environ: dict[str, Any], limit_bytes: int) -> bytes:
    if "HTTP_TRANSFER_ENCODING" not in environ:
        return b""
    body = _read_up_to(environ["wsgi.input"], limit_bytes + 1)
    if len(body) > limit_bytes:
        raise _too_large(limit_bytes)
    return body


def _read_up_to(source: Any, size: int) -> bytes:
    body: bytes = source.read(size)
    while body and len(body) < size:
        piece = source.read(size - len(body))
        if not piece:
            break
        body += piece
    return body


def _too_large(limit_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {limit_bytes} bytes")
