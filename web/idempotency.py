"""Idempotency-Key on POST (draft-ietf-httpapi-idempotency-key-header): the same request again gets the first answer.

A request with a key claims it, is answered, and leaves its answer behind; the same request later is answered from
there, byte for byte. Only final answers stay: a 2xx, or a 422 that the same content would get again. Anything else
(a 5xx, a 404 that may become known, an upload that broke off) frees the key.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from config.card_numbers import find_cards
from config.errors import BrokerUnavailable, CardNumberRefused, IdempotencyKeyReused, InvalidRequest, TollgateError
from web.answer import Answer
from web.ports.idempotency import Claim, IdempotencyStore, KeptAnswer
from web.problems import problem_answer

log = structlog.get_logger("tollgate.web")

HEADER: Final = "Idempotency-Key"
KEY_MAX_LENGTH: Final = 255
REFRESH_EVERY_S: Final = 5.0
REPLAYED: Final = ("Idempotency-Replayed", "true")
_REQUEST_PARTS: Final = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE", "HTTP_CONTENT_ENCODING")


def read_key(environ: dict[str, Any]) -> str | None:
    """The request's Idempotency-Key, None when it has none. Raises InvalidRequest, CardNumberRefused."""
    key: str | None = environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    if not (0 < len(key) <= KEY_MAX_LENGTH and all("!" <= character <= "~" for character in key)):
        raise InvalidRequest(f"{HEADER} must be 1 to {KEY_MAX_LENGTH} visible ASCII characters")
    if find_cards(key):
        raise CardNumberRefused(f"{HEADER} holds a card number; nothing of this was kept.")
    return key


class Fingerprint:
    """SHA-256 of a request: method, path and query, type, and the body, fed as it arrives."""

    def __init__(self, environ: dict[str, Any]) -> None:
        head = "\n".join(environ.get(part, "") for part in _REQUEST_PARTS)
        self._hash = hashlib.sha256(head.encode("utf-8", "replace") + b"\n\n")

    def update(self, block: bytes) -> None:
        """Add a part of the body."""
        self._hash.update(block)

    def text(self) -> str:
        """64 hex characters."""
        return self._hash.hexdigest()


@dataclass(slots=True)
class Held:
    """A key that this request holds until it is answered."""

    store: IdempotencyStore
    claim: Claim
    _refreshed_at: float = field(default_factory=time.monotonic)

    def refresh(self) -> None:
        """Hold on, during a long upload; a broker that fails now may be back before the mark runs out.

        Raises: RequestInProgress (the key was lost).
        """
        if time.monotonic() - self._refreshed_at >= REFRESH_EVERY_S:
            self._refreshed_at = time.monotonic()
            self._settle(lambda: self.store.refresh(self.claim))

    def keep(self, fingerprint: str, answer: Answer) -> None:
        """Keep a final answer; free the key after any other."""
        if is_final(answer.status):
            self._settle(lambda: self.store.keep(self.claim, kept(fingerprint, answer)))
        else:
            self.release()

    def release(self) -> None:
        """Free the key for another try; an answer that is kept already stays."""
        self._settle(lambda: self.store.release(self.claim))

    def _settle(self, change: Callable[[], None]) -> None:
        """A broker that fails here is logged, not raised: the answer is true, and the key frees itself in a while."""
        try:
            change()
        except BrokerUnavailable as error:
            log.warning("idempotency_key_not_settled", detail=error.detail)


def is_final(status: int) -> bool:
    """Whether the same request would get the same answer for as long as its key is remembered."""
    return status < 300 or status == 422


def kept(fingerprint: str, answer: Answer) -> KeptAnswer:
    """The answer as the store keeps it."""
    return KeptAnswer(fingerprint, answer.status, answer.headers, answer.body)


def replay(first: KeptAnswer, fingerprint: str) -> Answer:
    """The first answer again. Raises IdempotencyKeyReused when this is another request."""
    if first.fingerprint != fingerprint:
        raise IdempotencyKeyReused(f"this {HEADER} was used for a request with other content")
    return Answer(first.status, [*map(tuple, first.headers), REPLAYED], first.body)  # type: ignore[list-item]


def answer_once(
    store: IdempotencyStore, key: str | None, *, scope: str, client: str, fingerprint: str, answer: Callable[[], Answer]
) -> Answer:
    """The answer to a request whose body is known: made by `answer`, or found under its key.

    Raises: RequestInProgress, IdempotencyKeyReused, BrokerUnavailable; without a key whatever `answer` raises.
    """
    if key is None:
        return answer()
    found = store.claim(scope, client, key)
    if isinstance(found, KeptAnswer):
        return replay(found, fingerprint)
    held = Held(store, found)
    try:
        made = answer()
    except CardNumberRefused:
        held.release()  # not even a digest of a card number is kept
        raise
    except TollgateError as error:
        made = problem_answer(error)
    except BaseException:
        held.release()
        raise
    held.keep(fingerprint, made)
    return made
