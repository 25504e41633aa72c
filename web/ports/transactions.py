"""The way from a view to a decision: a validated transaction goes in, where it stands comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from web.ports.labels import Label, LabelOutcome, LabelRefusal


class Transaction(Protocol):
    """A validated transaction (`config.schema.validate.Transaction`).

    `values`: one per schema field in file order, None where not sent. `digest`: 16 hex characters over the
    canonical content without the transaction id.
    """

    @property
    def transaction_id(self) -> str | None: ...
    @property
    def values(self) -> list[Any]: ...
    @property
    def digest(self) -> str: ...


class TransactionValidator(Protocol):
    """The compiled schema (`config.schema.validate.Validator`)."""

    def parse(self, body: bytes) -> Transaction:
        """Read one JSON body. Raises MalformedBody or InvalidTransaction with every field error."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a transaction stands.

    `decision_json` is the decision object as the worker encoded it; it is passed on byte for byte. It is
    set exactly when `status` is "decided". `replayed`: the decision was made for an earlier submission of
    the same transaction id. "dead_lettered": accepted and given up; only an operator's replay will decide it.
    """

    status: Literal["decided", "pending", "dead_lettered", "unknown"]
    transaction_id: str
    decision_json: bytes | None = None
    replayed: bool = False


class TransactionGateway(Protocol):
    """The way from a view to a decision. Every call returns or raises within its time limit; none hangs.

    Ids are as they are kept, with their tenant; `web.own_gateway` is the same for one tenant, with its own ids.
    """

    def score(
        self, transaction: Transaction, *, transaction_id: str, wait_ms: int, explain: bool, client: str = ""
    ) -> Outcome:
        """Score now, waiting at most `wait_ms` (at least 1). `client`: who sent it, for the ledger.

        "pending" means that the time is over and that nothing was accepted: `web.late` decides what then.

        Raises:
            Overloaded: this process holds as many transactions as it may, or the journal is full.
            BrokerUnavailable: the broker cannot be reached.
            LedgerUnavailable: decided long ago, and the ledger that has the decision cannot be read.
            TransactionConflict: the id was used with other content.
        """

    def accept(self, transaction: Transaction, *, transaction_id: str, explain: bool, client: str = "") -> Outcome:
        """Accept for later: durable in the inbox when this returns ("pending"), already "decided", or "dead_lettered".

        Raises: Overloaded, BrokerUnavailable, LedgerUnavailable, TransactionConflict; then nothing was accepted.
        """

    def decide_by_rules(
        self, transaction: Transaction, *, transaction_id: str, explain: bool, client: str = ""
    ) -> Outcome:
        """Decide by the policy file alone, marked `degraded`; the first decision stored wins and is returned.

        Raises: Overloaded (the journal is full), BrokerUnavailable, LedgerUnavailable, TransactionConflict.
        """

    def find(self, transaction_id: str) -> Outcome:
        """Look in result, then inbox, then ledger; "unknown" when it is in none.

        Raises: BrokerUnavailable, LedgerUnavailable.
        """

    def record_label(self, label: Label) -> LabelOutcome:
        """Keep a label durably.

        Raises: UnknownId (no such transaction or decision), LabelConflict (its `label_id` said something else),
        Overloaded (the inbox is full), BrokerUnavailable, LedgerUnavailable.
        """

    def record_labels(self, labels: Sequence[Label]) -> Sequence[LabelRefusal | None]:
        """Keep labels by id durably, all in one entry; for each None, or why it was not kept.

        UnknownId: no such transaction or decision. LabelConflict: its `label_id`, recorded, sent alone and waiting, or
        in front of it among `labels`, says something else. Chunks that wait are not compared: of their labels the
        first to be recorded counts, and the background worker logs the other.

        Raises: Overloaded, BrokerUnavailable, LedgerUnavailable; then none was kept, or sending them again is harmless.
        """
