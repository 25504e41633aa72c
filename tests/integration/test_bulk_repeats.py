"""What of a batch is sent, done or delivered twice, on a real Valkey: the first decision stays."""

from __future__ import annotations

import json
from typing import Any

from config import names
from config.blobs.choice import blobs_of
from config.contracts import ScoreRow
from config.queue.batches import BatchFiles, chunk_entry
from config.queue.results import decision_of
from config.schema.validate import compile_validator
from ml.features.spec import FeatureSpec
from tests.bulk_bench import SCHEMA, Bench, payments
from workers.batches import complete_batches
from workers.bulk import runtime as bulk
from workers.bulk import tasks
from workers.bulk.rows import read_rows
from workers.journal import journal_drain
from workers.store import Finished


def test_a_rerun_batch_gives_the_first_decisions_marked_as_replayed(bench: Bench) -> None:
    bench.accept(payments(6))
    bench.settle()

    bench.accept(payments(6), "b2")
    bench.settle()

    first, second = bench.results(), bench.results("b2")
    assert [line["decision_id"] for line in second] == [line["decision_id"] for line in first]
    assert [line["replayed"] for line in second] == [True] * 6
    assert bench.ledger.count_decisions() == 6


def test_of_a_file_sent_again_only_rows_with_ids_of_their_own_are_replays(bench: Bench) -> None:
    rows = [*payments(2), {"amount": 7}]
    bench.accept(rows)
    bench.settle()

    bench.accept(rows, "b2")
    bench.settle()

    assert [line["replayed"] for line in bench.results("b2")] == [True, True, False]
    assert bench.ledger.count_decisions() == 4


def test_a_decision_that_only_the_ledger_holds_is_found_there(bench: Bench) -> None:
    bench.accept(payments(6))
    bench.settle()
    assert [held(bench, f"t{n}") for n in range(1, 7)] == [b""] * 6

    bench.accept(payments(6), "b2")
    bench.settle()

    assert [line["decision_id"] for line in bench.results("b2")] == [line["decision_id"] for line in bench.results()]


def held(bench: Bench, transaction_id: str) -> bytes:
    """The decision that Redis has of a transaction; empty where only the ledger has it."""
    return decision_of(bench.client, bench.client.get(names.result_key(transaction_id)) or b"")  # type: ignore[arg-type]


def test_a_row_s_decision_is_in_redis_until_the_ledger_has_it(bench: Bench) -> None:
    bench.accept(payments(6))
    bench.work()
    decisions = [json.loads(held(bench, f"t{n}")) for n in range(1, 7)]
    results = [{name: line[name] for name in decisions[0]} for line in bench.results()]
    assert decisions == results

    bench.settle()

    for n in range(1, 7):
        assert held(bench, f"t{n}") == b""
        assert bench.client.strlen(names.result_key(f"t{n}")) < 64
        assert bench.client.ttl(names.result_key(f"t{n}")) > bench.settings.result_ttl_s
    assert not list(bench.client.scan_iter(names.bulk_payload_key("*")))


def test_one_payment_sent_again_is_answered_with_the_decision_of_the_batch(bench: Bench) -> None:
    rows = payments(4)
    bench.accept(rows)
    bench.work()
    again = compile_validator(SCHEMA).validate(rows[1])
    row = ScoreRow("t2", again.digest, 0, 0, again.values)

    [observed] = bench.scoring.store.observe([row], FeatureSpec.from_schema(SCHEMA))
    bench.scoring.store.commit([Finished(row, "N", b"{}", b"{}", has_seen=False)], reply_to="r", batch_id=1)

    assert observed.status == "D"
    assert observed.decision == held(bench, "t2")
    [_, [[status, decision]]] = json.loads(bench.client.lpop("r") or b"")  # type: ignore[arg-type]
    assert (status, decision) == ("D", json.loads(held(bench, "t2")))


def test_of_one_id_twice_in_a_chunk_the_first_row_decides(bench: Bench) -> None:
    rows = payments(4)
    rows[2], rows[3] = rows[0], {"id": "t2", "amount": 77}
    bench.accept(rows)
    bench.settle()

    lines = bench.results()
    assert [line["replayed"] for line in lines] == [False, False, True]
    assert lines[2]["decision_id"] == lines[0]["decision_id"]
    assert [error["code"] for error in bench.errors()] == ["transaction_conflict"]
    assert bench.ledger.count_decisions() == 2


def test_the_same_id_with_other_content_is_a_row_error(bench: Bench) -> None:
    rows = payments(4)
    rows[3] = {"id": "t1", "amount": 99}
    bench.accept(rows)
    bench.settle()

    assert [error["code"] for error in bench.errors()] == ["transaction_conflict"]
    assert bench.batch().completed == 3


def test_a_chunk_done_twice_counts_once_and_keeps_its_decisions(bench: Bench) -> None:
    bench.accept(payments(4))
    ticket = bench.take_message()
    assert ticket is not None
    store = bulk.bulk_runtime().store
    assert store.claim_chunk(ticket) == 0
    tasks.score_chunk(chunk_entry("b1", 0))
    before = bench.results()
    tasks.score_chunk(chunk_entry("b1", 0))
    bench.settle()

    assert bench.results() == before
    assert bench.batch().completed == 4
    assert bench.ledger.count_decisions() == 4


def test_a_chunk_whose_worker_died_after_its_commit_is_not_scored_again(bench: Bench) -> None:
    bench.accept(payments(4))
    ticket = bench.take_message()
    assert ticket is not None
    assert bulk.bulk_runtime().store.claim_chunk(ticket) == 0
    files = BatchFiles.of(blobs_of(bench.settings), "b1")
    rows = read_rows(files, "ndjson", 0, bulk.bulk_runtime().validator, 4096)
    outcomes = bulk.bulk_runtime().scorer.score(bench.batch(), rows, is_retry=False)

    tasks.score_chunk(chunk_entry("b1", 0))
    bench.settle()

    decided = [json.loads(outcome.decision)["decision_id"] for outcome in outcomes]
    assert [line["decision_id"] for line in bench.results()] == decided
    assert [line["replayed"] for line in bench.results()] == [False] * 4


def test_a_batch_is_completed_when_the_ledger_has_what_a_dead_worker_committed(bench: Bench) -> None:
    bench.accept(payments(8))
    store = bulk.bulk_runtime().store
    assert [store.claim_chunk("b1"), store.claim_chunk("b1")] == [0, 1]
    files = BatchFiles.of(blobs_of(bench.settings), "b1")
    rows = read_rows(files, "ndjson", 0, bulk.bulk_runtime().validator, 4096)
    tasks.score_chunk(chunk_entry("b1", 1))
    journal_drain(bench.background, stream=names.JOURNAL_BULK).run(10)
    bulk.bulk_runtime().scorer.score(bench.batch(), rows, is_retry=False)

    tasks.score_chunk(chunk_entry("b1", 0))
    complete_batches(bench.background)

    assert bench.batch().status == "finalizing"
    bench.settle()
    assert (bench.batch().status, bench.ledger.count_decisions()) == ("completed", 8)


def test_a_chunk_replayed_when_redis_has_forgotten_it_keeps_the_decisions_of_the_ledger(bench: Bench) -> None:
    bench.accept([{"amount": n} for n in range(3)])
    ticket = bench.take_message()
    assert ticket is not None
    assert bulk.bulk_runtime().store.claim_chunk(ticket) == 0
    files = BatchFiles.of(blobs_of(bench.settings), "b1")
    rows = read_rows(files, "ndjson", 0, bulk.bulk_runtime().validator, 4096)
    outcomes = bulk.bulk_runtime().scorer.score(bench.batch(), rows, is_retry=False)
    journal_drain(bench.background, stream=names.JOURNAL_BULK).run(10)
    bench.client.delete(*[names.result_key(f"b1-{n}") for n in range(1, 4)])

    tasks.score_chunk(chunk_entry("b1", 0))
    bench.settle()

    first = [json.loads(outcome.decision)["decision_id"] for outcome in outcomes]
    assert [line["decision_id"] for line in bench.results()] == first
    assert bench.ledger.count_decisions() == 3


def test_history_counts_a_row_once_however_often_its_chunk_is_done(bench: Bench) -> None:
    bench.accept([{"id": f"t{n}", "amount": n, "account": "a"} for n in range(1, 5)])
    ticket = bench.take_message()
    assert ticket is not None
    bulk.bulk_runtime().store.claim_chunk(ticket)
    for _ in range(3):
        bench.client.hset(names.inbox_key(chunk_entry("b1", 0)), "attempts", 0)
        tasks.score_chunk(chunk_entry("b1", 0))
    bench.settle()

    spec = FeatureSpec.from_schema(SCHEMA)
    [account] = spec.entities
    log: Any = bench.client.get(names.history_key("account", account.record, "a"))
    assert len(log) == 24 + 4 * 8 * (1 + len(account.record))
