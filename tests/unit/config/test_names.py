"""Keys that a client's own id is part of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from config import names
from config.queue.batches import batch_entry, chunk_entry

ids = st.one_of(
    st.text(min_size=1, max_size=20),
    st.sampled_from(["label:7", "batch:b1", "chunk:b1:0", "transaction:t1", "transaction:label:7", "labels", "tx-1"]),
)


@given(ids, ids)
def test_no_two_transactions_share_an_inbox_entry(one: str, other: str) -> None:
    assert (names.transaction_entry(one) == names.transaction_entry(other)) == (one == other)
    assert names.transaction_of(names.transaction_entry(one)) == one


@given(ids)
def test_no_transaction_has_the_inbox_entry_of_other_work(transaction_id: str) -> None:
    others = {"label:7", batch_entry("b1"), chunk_entry("b1", 0)}

    assert names.transaction_entry(transaction_id) not in others


def test_an_ordinary_id_is_its_own_entry() -> None:
    assert names.transaction_entry("tx-1") == "tx-1"
