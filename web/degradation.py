"""Which client gets what when its score is late or cannot be had; docs/degradation.md is the contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from config.contracts import LateFallback
from config.settings import Settings
from ml.policy import Policy


@dataclass(frozen=True, slots=True)
class Degradation:
    """`default` for every client that `by_client` does not name."""

    default: LateFallback = "poll"
    by_client: Mapping[str, LateFallback] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings, policy: Policy) -> Degradation:
        """The policy file wins over TOLLGATE_LATE_FALLBACK."""
        return cls(policy.late or settings.late_fallback, policy.late_by_client)

    def fallback_of(self, client: str) -> LateFallback:
        """What a late score of this client becomes."""
        return self.by_client.get(client, self.default)
