"""Sessions without Redis, for tests: keeps the promises of `web.auth.session_store.SessionStore`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from config.errors import TollgateError


@dataclass(slots=True)
class MemorySessions:
    """`failure`: what every call raises. `clock`: seconds."""

    clock: Callable[[], float] = time.monotonic
    kept: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    failure: TollgateError | None = None

    def keep(self, key: str, content: bytes, *, for_s: int) -> None:
        """See `SessionStore.keep`."""
        self._require_answer()
        self.kept[key] = (content, self.clock() + for_s)

    def find(self, key: str, *, for_s: int) -> bytes | None:
        """See `SessionStore.find`."""
        content = self.take(key)
        if content is not None:
            self.keep(key, content, for_s=for_s)
        return content

    def take(self, key: str) -> bytes | None:
        """See `SessionStore.take`."""
        self._require_answer()
        content, ends_at = self.kept.pop(key, (None, 0.0))
        return content if self.clock() < ends_at else None

    def _require_answer(self) -> None:
        if self.failure is not None:
            raise self.failure
