"""Rows, chunks and batches that fail, on a real Valkey: their neighbours are decided and the reason is told."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from config import names
from config.errors import BlobsUnavailable, LedgerUnavailable
from config.queue.batches import batch_entry, chunk_entry
from tests.batch_paths import BatchPaths
from tests.bulk_bench import KILLER, POISON, Bench, WorkerKilled, payments
from workers.bulk import runtime as bulk
from workers.bulk import scoring, tasks
from workers.bulk.suspects import Suspects
from workers.journal import journal_drain


def away(*_: object, **_named: object) -> None:
    raise BlobsUnavailable("the blob store does not answer")


def test_a_chunk_whose_payload_is_gone_does_not_hold_up_the_others(bench: Bench) -> None:
    bench.accept(payments(8))
    bench.work()
    [first, _] = sorted(bench.client.scan_iter(names.bulk_payload_key("*")))
    bench.client.delete(first)

    journal_drain(bench.background, stream=names.JOURNAL_BULK).run(10)

    assert bench.ledger.count_decisions() == 4
    [(_, refused)] = bench.client.xrange(names.JOURNAL_REFUSED)  # type: ignore[misc]
    assert refused[b"reason"] == b"its payload is gone"


def test_a_row_that_raises_is_a_dead_letter_and_its_neighbours_are_decided(bench: Bench) -> None:
    rows = payments(6)
    rows[2]["amount"] = POISON
    bench.accept(rows)
    bench.settle()

    assert bench.batch().status == "completed"
    assert [(error["row"], error["code"]) for error in bench.errors()] == [(3, "scoring_failed")]
    assert [line["row"] for line in bench.results()] == [1, 2, 4, 5, 6]
    assert bench.client.zscore(names.DEAD_LETTERS, "t3") is not None


def test_a_row_that_kills_its_worker_is_found_and_left_out(bench: Bench) -> None:
    rows = payments(8)
    rows[5]["amount"] = KILLER
    bench.accept(rows)
    deaths = 0
    for _ in range(20):
        work = bench.take_message()
        lost = [entry.decode() for entry in bench.client.zrange(names.INBOX_DUE, 0, -1) if entry.startswith(b"chunk:")]
        if work is None and not lost:
            break
        try:
            tasks.score_chunk(work or lost[0])
        except WorkerKilled:
            deaths += 1
    bench.settle()

    assert deaths == 3
    assert bench.batch().status == "completed"
    assert [(error["row"], error["code"]) for error in bench.errors()] == [(6, "scoring_failed")]
    assert [line["row"] for line in bench.results()] == [1, 2, 3, 4, 5, 7, 8]
    assert bench.client.zscore(names.DEAD_LETTERS, "t6") is not None


def test_a_batch_with_too_many_rows_fails_with_the_reason_and_leaves_no_file(redis_url, redis_client, tmp_path) -> None:
    bench = Bench(redis_url, redis_client, tmp_path, bulk_max_rows=3)

    bench.accept(payments(4))

    assert (bench.batch().status, bench.batch().error_code) == ("failed", "too_many_rows")
    assert "more than 3 rows" in bench.batch().error_detail
    assert bench.client.smembers(names.open_batches_key("client")) == set()
    assert bench.client.zcard(names.INBOX_DUE) == 0
    assert not BatchPaths.of(bench.settings.blob_dir, "b1").directory.exists()
    bench.close()


def test_a_chunk_that_is_given_up_fails_its_batch_and_a_replay_completes_it(bench: Bench) -> None:
    bench.accept(payments(4))
    ticket = bench.take_message()
    assert ticket is not None
    bulk.bulk_runtime().store.claim_chunk(ticket)
    entry = chunk_entry("b1", 0)
    bench.client.hset(names.inbox_key(entry), "attempts", bench.settings.inbox_attempts)
    tasks.score_chunk(entry)

    assert (bench.batch().status, bench.batch().error_code) == ("failed", "dead_letter")

    bench.client.hset(names.inbox_key(entry), "attempts", 0)
    bench.client.hdel(names.inbox_key(entry), "dead_ms")
    tasks.score_chunk(entry)
    bench.settle()
    assert (bench.batch().status, bench.batch().completed) == ("completed", 4)


def test_a_chunk_whose_blob_store_is_away_waits_and_keeps_its_first_decisions(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.accept(payments(4))
    entry = chunk_entry("b1", 0)
    with monkeypatch.context() as patch:
        patch.setattr(scoring, "write_report", away)
        bench.work()
        for _ in range(bench.settings.inbox_attempts):
            tasks.score_chunk(entry)
    assert bench.client.hget(names.inbox_key(entry), "attempts") == b"0"
    assert bench.client.zscore(names.DEAD_LETTERS, entry) is None
    decided = bench.ledger.count_decisions()

    tasks.score_chunk(entry)
    bench.settle()

    assert (bench.batch().status, bench.batch().completed) == ("completed", 4)
    assert [line["replayed"] for line in bench.results()] == [False] * 4
    assert (decided, bench.ledger.count_decisions()) == (0, 4)


def test_a_ledger_that_is_away_while_rows_are_tried_alone_costs_no_row_and_no_attempt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ledger_away(*_: object) -> None:
        raise LedgerUnavailable("the ledger does not answer")

    entry = chunk_that_failed_once(bench, payments(4))
    with monkeypatch.context() as patch:
        patch.setattr(bench.ledger, "decisions_json", ledger_away)
        for _ in range(2 * bench.settings.inbox_attempts):
            tasks.score_chunk(entry)
    assert bench.client.hget(names.inbox_key(entry), "attempts") == b"1"

    tasks.score_chunk(entry)
    bench.settle()

    assert (bench.batch().status, bench.batch().completed, bench.errors()) == ("completed", 4, [])
    assert bench.client.zcard(names.DEAD_LETTERS) == 0


def test_a_report_that_cannot_be_written_costs_attempts_and_no_row(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **_named: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    entry = chunk_that_failed_once(bench, payments(4))
    with monkeypatch.context() as patch:
        patch.setattr(scoring, "write_report", full)
        with pytest.raises(OSError, match="no space left"):
            tasks.score_chunk(entry)
    assert bench.client.hget(names.inbox_key(entry), "attempts") == b"2"

    tasks.score_chunk(entry)
    bench.settle()

    assert (bench.batch().status, bench.batch().completed, bench.errors()) == ("completed", 4, [])


def test_a_batch_outlives_a_blob_store_that_is_away_for_long(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.accept(payments(12))
    with monkeypatch.context() as patch:
        patch.setattr(scoring, "write_report", away)
        for _ in range(2 * bench.settings.inbox_attempts):
            bench.work()
            tasks.open_batch(batch_entry("b1"))  # the reaper's message: nothing went on for a while
    assert bench.batch().status == "in_progress"

    for chunk in range(3):
        tasks.score_chunk(chunk_entry("b1", chunk))
    bench.settle()

    assert (bench.batch().status, bench.batch().completed) == ("completed", 12)


def test_a_worker_that_was_overtaken_leaves_nothing_in_the_inbox(bench: Bench) -> None:
    entry = chunk_that_failed_once(bench, payments(4))
    suspects = Suspects(bench.client, names.inbox_key(entry), attempt=2)
    tasks.score_chunk(entry)

    with suspects.cleared_unless_killed():
        suspects.begin(1)

    assert not bench.client.exists(names.inbox_key(entry))


def chunk_that_failed_once(bench: Bench, rows: list[dict[str, Any]]) -> str:
    """The inbox entry of a batch's first chunk, whose next attempt tries its rows alone."""
    bench.accept(rows)
    ticket = bench.take_message()
    assert ticket is not None
    assert bulk.bulk_runtime().store.claim_chunk(ticket) == 0
    return chunk_entry("b1", 0)
