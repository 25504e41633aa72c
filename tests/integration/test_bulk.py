"""A batch from its accepted upload to its last decision, on a real Valkey: the tasks without Celery's loop."""

from __future__ import annotations

import json
import struct

from config import names
from config.queue.batches import chunk_entry
from ml.features.spec import FeatureSpec
from tests.bulk_bench import SCHEMA, Bench, payments
from workers.batches import complete_batches
from workers.bulk import runtime as bulk
from workers.bulk import tasks


def test_every_row_has_its_decision_in_input_order_in_the_files_and_in_the_ledger(bench: Bench) -> None:
    bench.accept(payments(10))
    assert bench.batch().status == "in_progress"

    bench.settle()

    batch = bench.batch()
    assert (batch.status, batch.total, batch.completed, batch.failed, batch.chunks) == ("completed", 10, 10, 0, 3)
    assert [(line["row"], line["transaction_id"], line["replayed"]) for line in bench.results()] == [
        (n, f"t{n}", False) for n in range(1, 11)
    ]
    assert bench.errors() == []
    stored = bench.ledger.decisions_json([f"t{n}" for n in range(1, 11)])
    for line in bench.results():
        assert json.loads(stored[line["transaction_id"]]) == {
            name: value for name, value in line.items() if name not in ("row", "replayed")
        }


def test_nothing_of_a_finished_batch_stays_in_the_inbox(bench: Bench) -> None:
    bench.accept(payments(10))
    bench.settle()

    assert bench.client.zcard(names.INBOX_DUE) == 0
    assert bench.client.keys(f"{names.inbox_key('')}*") == []
    assert bench.client.smembers(names.open_batches_key("client")) == set()
    assert bench.client.xlen(names.JOURNAL_BULK) == 0


def test_bad_rows_are_reported_and_the_others_decided(bench: Bench) -> None:
    rows = payments(9)
    rows[3]["amount"] = -1
    bench.accept(rows)
    bench.settle()

    assert (bench.batch().completed, bench.batch().failed) == (8, 1)
    [error] = bench.errors()
    assert (error["row"], error["line"], error["transaction_id"], error["field"]) == (4, 4, "t4", "amount")
    assert error["reason"]


def test_a_batch_is_completed_only_when_the_ledger_has_it(bench: Bench) -> None:
    bench.accept(payments(5))
    bench.work()
    complete_batches(bench.background)
    assert bench.batch().status == "finalizing"

    bench.settle()
    assert bench.batch().status == "completed"


def test_rows_with_and_without_history_get_sequence_numbers_of_their_own(bench: Bench) -> None:
    rows = payments(8)
    for number, row in enumerate(rows):
        row.pop("account", None)
        if number % 3 == 0:
            row["account"] = "a"
    bench.accept(rows)
    bench.settle()

    stored = bench.ledger.latest_decisions(limit=10)
    assert len(stored) == len({one.sequence for one in stored}) == 8
    counts = {one.decision.transaction_id: struct.unpack("<2d", one.features) for one in stored}
    column = list(FeatureSpec.from_schema(SCHEMA).columns).index("account_count_1d")
    assert [counts[f"t{n}"][column] for n in (1, 4, 7)] == [0, 1, 2]


def test_a_batch_without_rows_is_completed(bench: Bench) -> None:
    bench.accept([])
    bench.settle()

    assert (bench.batch().status, bench.batch().total) == ("completed", 0)


def test_a_batch_that_is_cancelled_ends_when_its_last_chunk_is_out(bench: Bench) -> None:
    bench.accept(payments(12))
    ticket = bench.take_message()
    assert ticket is not None
    assert bulk.bulk_runtime().store.claim_chunk(ticket) == 0
    bench.client.hset(names.batch_key("b1"), "status", "cancelling")

    bench.work()
    assert bench.batch().status == "cancelling"
    tasks.score_chunk(chunk_entry("b1", 0))

    assert bench.batch().status == "cancelled"
    assert len(bench.results()) == 4
    assert bench.client.zcard(names.INBOX_DUE) == 0


def test_rows_without_an_id_get_one_that_stays_the_same(bench: Bench) -> None:
    bench.accept([{"amount": n} for n in range(5)])
    bench.settle()

    assert [line["transaction_id"] for line in bench.results()] == [f"b1-{n}" for n in range(1, 6)]
    assert bench.client.ttl(names.result_key("b1-1")) <= bench.settings.result_ttl_s


def test_no_more_chunks_are_out_than_allowed(bench: Bench) -> None:
    bench.accept(payments(40))

    assert bench.client.llen(names.QUEUE_BULK) == 2
    work = bench.take_message()
    assert work is not None
    tasks.score_chunk(work)
    assert bench.client.llen(names.QUEUE_BULK) == 2
