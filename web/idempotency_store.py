"""The answers of `web.ports.idempotency.IdempotencyStore` in Redis, beside `web.gateway`, whose connections it uses.

A key holds either a mark (`?` and a token: a request is being answered) or the answer (`=` and JSON). A mark runs out
after `MARK_S` unless its request refreshes it, so what a dead process held is free again.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

import msgspec
import redis

from config import names
from config.errors import RequestInProgress
from config.queue.server_scripts import register
from config.settings import Settings
from web.breaker import Guard
from web.ports.idempotency import Claim, KeptAnswer

MARK_S: Final = 30
_ANSWER: Final = b"="
_decoder = msgspec.json.Decoder(KeptAnswer)


def encode_answer(answer: KeptAnswer) -> bytes:
    """What a key holds once its request is answered."""
    return _ANSWER + msgspec.json.encode(answer)


class RedisIdempotency:
    """One per web process."""

    def __init__(self, settings: Settings, client: redis.Redis, *, guard: Guard) -> None:
        self._ttl_s = settings.idempotency_ttl_s
        self._client = client
        self._guard = guard
        self._hold = register(client, "hold_key")

    def claim(self, scope: str, client: str, key: str) -> Claim | KeptAnswer:
        """See `IdempotencyStore.claim`."""
        claim = Claim(names.idempotency_key(scope, client, key), b"?" + uuid4().hex.encode())
        stored = self._guard(lambda: self._take(claim))
        if stored is None:
            return claim
        if stored[:1] == _ANSWER:
            return _decoder.decode(stored[1:])
        raise _in_progress()

    def refresh(self, claim: Claim) -> None:
        """See `IdempotencyStore.refresh`."""
        if not self._swap(claim, claim.mark, MARK_S):
            raise _in_progress()

    def keep(self, claim: Claim, answer: KeptAnswer) -> None:
        """See `IdempotencyStore.keep`."""
        self._swap(claim, encode_answer(answer), self._ttl_s)

    def release(self, claim: Claim) -> None:
        """See `IdempotencyStore.release`."""
        self._swap(claim, b"", 0)

    def _take(self, claim: Claim) -> bytes | None:
        """Write the mark where nothing is; returns what was there."""
        found: Any = self._client.set(claim.key, claim.mark, nx=True, get=True, ex=MARK_S)
        return bytes(found) if found is not None else None

    def _swap(self, claim: Claim, content: bytes, lifetime_s: int) -> bool:
        return bool(self._guard(lambda: self._hold(keys=[claim.key], args=[claim.mark, content, lifetime_s * 1000])))


def _in_progress() -> RequestInProgress:
    return RequestInProgress("a request with this Idempotency-Key is being answered", retry_after_s=2)
