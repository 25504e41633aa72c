"""What becomes of a synchronous request whose deadline passed: `late_fallback` decides, as Settings say."""

from __future__ import annotations

from typing import Literal

from config.errors import Overloaded
from web.metrics import WebMetrics
from web.ports import Outcome, ScoringGateway, Transaction

LateFallback = Literal["poll", "refuse", "rules"]


def settle_late(
    transaction: Transaction,
    *,
    transaction_id: str,
    explain: bool,
    fallback: LateFallback,
    gateway: ScoringGateway,
    metrics: WebMetrics,
) -> Outcome:
    """Poll: the transaction is durable before the client hears 202. Rules: a decision at once, degraded.

    Raises:
        Overloaded: `fallback` is "refuse"; nothing was accepted, the client may send it again.
        BrokerUnavailable: not even that could be written; nothing was accepted.
    """
    metrics.count_late(fallback)
    if fallback == "refuse":
        raise Overloaded("no decision within the deadline; nothing was accepted, send it again", retry_after_s=1)
    settle = gateway.decide_by_rules if fallback == "rules" else gateway.accept
    return settle(transaction, transaction_id=transaction_id, explain=explain)
