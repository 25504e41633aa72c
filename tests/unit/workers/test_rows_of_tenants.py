"""A row of a tenant's batch: its tenant is in what finds it, and in nothing that is scored or shown."""

from __future__ import annotations

from config.contracts import ScoreRow
from config.queue.batches import BatchRecord, batch_of
from config.schema.validate import Transaction
from config.tenants import tenant_of
from workers.bulk.chunk import score_row
from workers.bulk.rows import Row

VALUES = [12.5, "acc-1", "online"]


def row_of(tenant: str, transaction_id: str | None) -> ScoreRow:
    batch = BatchRecord("b1", f"{tenant}10.0.0.1", "in_progress", "ndjson", False, 1, 1_700_000_000_000)
    return score_row(batch, Row(3, 3, Transaction(transaction_id, VALUES, "0123456789abcdef")))


def test_the_model_and_the_lists_see_the_values_as_they_were_sent() -> None:
    mine, theirs = row_of("", "t-1"), row_of("acme\x1f", "t-1")

    assert mine.values == theirs.values == VALUES
    assert (mine.transaction_id, theirs.transaction_id) == ("t-1", "acme\x1ft-1")
    assert mine.digest == "0123456789abcdef"
    assert theirs.digest != mine.digest


def test_an_id_that_is_made_up_belongs_to_the_tenant_too() -> None:
    theirs = row_of("acme\x1f", None)

    assert (theirs.transaction_id, theirs.is_own_id) == ("acme\x1fb1-3", True)
    assert tenant_of(theirs.transaction_id) == "acme"


def test_a_batch_says_of_its_rows_who_sent_them_as_it_comes_back_from_the_broker() -> None:
    sent = BatchRecord("b1", "k-1", "in_progress", "ndjson", False, 1, 1_700_000_000_000, sent_by="key:night-run")
    kept = batch_of({name.encode(): str(value).encode() for name, value in sent.fields().items()})

    assert score_row(kept, Row(1, 1, Transaction("t-1", VALUES, "0123456789abcdef"))).client == "key:night-run"
