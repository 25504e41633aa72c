"""What becomes of a payment without a score: late, or not even asked for. `web.degradation` says which fallback."""

from __future__ import annotations

from config.contracts import LateFallback
from config.errors import Overloaded
from web.metrics import LateOutcome, WebMetrics
from web.ports.transactions import Outcome, Transaction, TransactionGateway


def settle_late(
    transaction: Transaction,
    *,
    transaction_id: str,
    explain: bool,
    client: str,
    fallback: LateFallback,
    gateway: TransactionGateway,
    metrics: WebMetrics,
) -> Outcome:
    """Poll: the transaction is durable before the client hears 202. Rules: a decision at once, degraded.

    Raises:
        Overloaded: `fallback` is "refuse", or no more is accepted; nothing was accepted, the client may send it again.
        BrokerUnavailable: not even that could be written; nothing was accepted.
    """
    if fallback == "rules":
        return settle_by_rules(
            transaction,
            transaction_id=transaction_id,
            explain=explain,
            client=client,
            cause="rules",
            gateway=gateway,
            metrics=metrics,
        )
    metrics.count_late(fallback)
    if fallback == "refuse":
        raise Overloaded("no decision within the deadline; nothing was accepted, send it again", retry_after_s=1)
    return gateway.accept(transaction, transaction_id=transaction_id, explain=explain, client=client)


def settle_by_rules(
    transaction: Transaction,
    *,
    transaction_id: str,
    explain: bool,
    client: str,
    cause: LateOutcome,
    gateway: TransactionGateway,
    metrics: WebMetrics,
) -> Outcome:
    """A decision by the policy file alone, counted under `cause` once it is stored.

    Raises: Overloaded (the journal is full), BrokerUnavailable: it could not be stored, so there is none.
    """
    outcome = gateway.decide_by_rules(transaction, transaction_id=transaction_id, explain=explain, client=client)
    metrics.count_late(cause)
    return outcome
