"""The answers that are kept for an Idempotency-Key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import msgspec


class KeptAnswer(msgspec.Struct, frozen=True):
    """The answer to a request that carried an Idempotency-Key. `fingerprint`: hex SHA-256 of that request."""

    fingerprint: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """An Idempotency-Key that one request holds while it is answered. `mark` tells it from every other request."""

    key: str
    mark: bytes


class IdempotencyStore(Protocol):
    """Remembers what was answered to an Idempotency-Key. A claim frees itself when its process dies."""

    def claim(self, scope: str, client: str, key: str) -> Claim | KeptAnswer:
        """Take the key for this request, or find what it was answered before.

        Raises: RequestInProgress (another request holds it), BrokerUnavailable.
        """

    def refresh(self, claim: Claim) -> None:
        """Hold the key for another while. Raises RequestInProgress (it was lost), BrokerUnavailable."""

    def keep(self, claim: Claim, answer: KeptAnswer) -> None:
        """Remember the answer; nothing when the key was lost. Raises BrokerUnavailable."""

    def release(self, claim: Claim) -> None:
        """Free the key for another try; nothing when the key was lost. Raises BrokerUnavailable."""
