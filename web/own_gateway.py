"""The gateway as one tenant sees it: its ids are qualified on the way in, and as they were sent on the way out.

The default tenant needs none of this (`web.tenancy.gateway_for`): its ids are kept as they are sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from config.errors import TollgateError
from config.schema.validate import Transaction as Checked
from config.tenants import kept_digest, prefix_for, sent_id, sent_json
from web.ports.labels import Label, LabelOutcome, LabelRefusal
from web.ports.transactions import Outcome, Transaction, TransactionGateway


class OwnGateway:
    """A `TransactionGateway` of one tenant, made for a request. Every method raises what the gateway's does."""

    def __init__(self, gateway: TransactionGateway, tenant: str) -> None:
        self._gateway = gateway
        self._prefix = prefix_for(tenant)

    def score(
        self, transaction: Transaction, *, transaction_id: str, wait_ms: int, explain: bool, client: str = ""
    ) -> Outcome:
        """See `TransactionGateway.score`."""
        with self._own_words():
            return self._shown(
                self._gateway.score(
                    self._kept(transaction),
                    transaction_id=self._prefix + transaction_id,
                    wait_ms=wait_ms,
                    explain=explain,
                    client=client,
                )
            )

    def accept(self, transaction: Transaction, *, transaction_id: str, explain: bool, client: str = "") -> Outcome:
        """See `TransactionGateway.accept`."""
        with self._own_words():
            kept_id = self._prefix + transaction_id
            return self._shown(
                self._gateway.accept(self._kept(transaction), transaction_id=kept_id, explain=explain, client=client)
            )

    def decide_by_rules(
        self, transaction: Transaction, *, transaction_id: str, explain: bool, client: str = ""
    ) -> Outcome:
        """See `TransactionGateway.decide_by_rules`."""
        with self._own_words():
            kept_id = self._prefix + transaction_id
            return self._shown(
                self._gateway.decide_by_rules(
                    self._kept(transaction), transaction_id=kept_id, explain=explain, client=client
                )
            )

    def find(self, transaction_id: str) -> Outcome:
        """See `TransactionGateway.find`."""
        with self._own_words():
            return self._shown(self._gateway.find(self._prefix + transaction_id))

    def record_label(self, label: Label) -> LabelOutcome:
        """See `TransactionGateway.record_label`."""
        with self._own_words():
            outcome = self._gateway.record_label(self._kept_label(label))
        about = outcome.transaction_id
        return replace(
            outcome,
            label_id=sent_id(outcome.label_id),
            transaction_id=None if about is None else sent_id(about),
        )

    def record_labels(self, labels: Sequence[Label]) -> Sequence[LabelRefusal | None]:
        """See `TransactionGateway.record_labels`."""
        with self._own_words():
            refusals = self._gateway.record_labels([self._kept_label(label) for label in labels])
        for refusal in refusals:
            if refusal is not None:
                self._in_own_words(refusal)
        return refusals

    def _kept(self, transaction: Transaction) -> Transaction:
        """The model, the lists and the ledger see the values as they were sent; only what finds them is qualified."""
        return Checked(transaction.transaction_id, transaction.values, kept_digest(self._prefix, transaction.digest))

    def _kept_label(self, label: Label) -> Label:
        return replace(
            label,
            label_id=self._prefix + label.label_id,
            transaction_id=None if label.transaction_id is None else self._prefix + label.transaction_id,
            digest=None if label.digest is None else kept_digest(self._prefix, label.digest),
        )

    def _shown(self, outcome: Outcome) -> Outcome:
        decision = outcome.decision_json
        return replace(
            outcome,
            transaction_id=sent_id(outcome.transaction_id),
            decision_json=None if decision is None else sent_json(decision, self._prefix),
        )

    @contextmanager
    def _own_words(self) -> Iterator[None]:
        """An error that names an id names it as it was sent; it is quoted by `repr` where it is."""
        try:
            yield
        except TollgateError as error:
            self._in_own_words(error)
            raise

    def _in_own_words(self, error: TollgateError) -> None:
        for written in (self._prefix, repr(self._prefix)[1:-1]):
            error.detail = error.detail.replace(written, "")
