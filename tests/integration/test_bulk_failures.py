"""Rows, chunks and batches that fail, on a real Valkey: their neighbours are decided and the reason is told."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from celery.worker import state
from redis import Redis

from config import names
from config.celery_app import make_celery
from config.errors import BlobsUnavailable, LedgerUnavailable
from config.queue.batches import batch_entry, chunk_entry
from config.queue.dead_letters import DeadLetters
from config.queue.server_scripts import register
from tests.batch_paths import BatchPaths
from tests.bulk_bench import KILLER, POISON, Bench, WorkerKilled, payments
from workers.bulk import opening, scoring, store, tasks
from workers.bulk import runtime as bulk
from workers.bulk.scoring import finish_chunk
from workers.bulk.suspects import Suspects
from workers.journal import journal_drain
from workers.upkeep.batches import expire_batches


def away(*_: object, **_named: object) -> None:
    raise BlobsUnavailable("the blob store does not answer")


def full(*_: object, **_named: object) -> None:
    raise OSError(errno.ENOSPC, "no space left")


def test_a_chunk_whose_payload_is_gone_does_not_hold_up_the_others(bench: Bench) -> None:
    bench.accept(payments(8))
    bench.work()
    [first, _] = sorted(bench.client.scan_iter(names.bulk_payload_key("*")))
    bench.client.delete(first)

    journal_drain(bench.background, stream=names.JOURNAL_BULK).run(10)

    assert bench.ledger.count_decisions() == 4
    [(_, refused)] = bench.client.xrange(names.JOURNAL_REFUSED)  # type: ignore[misc]
    assert refused[b"reason"] == b"its payload is gone"


def test_a_chunk_that_two_drainers_hold_is_stored_by_the_first_and_not_missed_by_the_second(bench: Bench) -> None:
    bench.accept(payments(8))
    bench.work()
    first, second = (journal_drain(bench.background, stream=names.JOURNAL_BULK) for _ in range(2))
    first._create_group()
    entries = first._fresh()

    first._move(entries)
    second._move(entries)  # claimed while the first was at it

    assert bench.ledger.count_decisions() == 8
    assert bench.client.xlen(names.JOURNAL_REFUSED) == 0


def test_work_that_goes_on_is_not_overdue_however_slow_the_workers_clock_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.client.zadd(names.INBOX_DUE, {"chunk:b1:0": 0})
    seconds, _ = bench.client.time()  # type: ignore[misc]
    monkeypatch.setattr(store.time, "time", lambda: seconds - 120.0)

    bulk.bulk_runtime().store.keep_alive("chunk:b1:0")

    assert bench.client.zscore(names.INBOX_DUE, "chunk:b1:0") >= seconds + bench.settings.inbox_overdue_s


def test_a_row_that_raises_is_a_dead_letter_and_its_neighbours_are_decided(bench: Bench) -> None:
    rows = payments(6)
    rows[2] |= {"amount": POISON, "account": "a"}
    bench.accept(rows)
    bench.settle()

    assert bench.batch().status == "completed"
    assert bench.client.ttl(names.seen_key("t3")) == -1, "it may be replayed in weeks, and is counted in history once"
    assert [(error["row"], error["code"]) for error in bench.errors()] == [(3, "scoring_failed")]
    assert [line["row"] for line in bench.results()] == [1, 2, 4, 5, 6]
    assert bench.client.zscore(names.DEAD_LETTERS, "t3") is not None


def test_a_row_that_raises_does_not_take_the_place_of_what_was_accepted_under_its_id(bench: Bench) -> None:
    bench.client.hset(names.inbox_key("t3"), mapping={"digest": "0" * 16, "payload": "accepted"})
    rows = payments(4)
    rows[2]["amount"] = POISON
    bench.accept(rows)
    bench.settle()

    assert [error["code"] for error in bench.errors()] == ["scoring_failed"]
    assert bench.client.hget(names.inbox_key("t3"), "payload") == b"accepted"
    assert bench.client.zscore(names.DEAD_LETTERS, "t3") is None


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


def give_up(bench: Bench, entry: str) -> None:
    """All attempts at an entry are used up, and its next message comes."""
    bench.client.hset(names.inbox_key(entry), "attempts", bench.settings.inbox_attempts)
    tasks.open_batch(entry) if entry.startswith("batch:") else tasks.score_chunk(entry)


def letters(bench: Bench) -> DeadLetters:
    return DeadLetters(bench.client, make_celery(bench.settings, "web"), bench.settings)


def test_a_chunk_that_is_given_up_fails_its_batch_and_a_replay_completes_it(bench: Bench) -> None:
    entry = first_chunk_at_work(bench, payments(12))
    give_up(bench, entry)
    bench.work()

    assert (bench.batch().status, bench.batch().error_code) == ("failed", "dead_letter")
    assert (bench.batch().next_chunk, bench.batch().expires_ms > 0) == (1, True)
    assert bench.client.scard(names.open_batches_key("client")) == 0

    assert letters(bench).replay(entry)
    tasks.score_chunk(bench.take_message() or "")
    assert (bench.batch().status, bench.batch().error_code, bench.batch().expires_ms) == ("in_progress", "", 0)
    assert bench.client.scard(names.open_batches_key("client")) == 1
    assert bench.client.zscore(names.INBOX_DUE, batch_entry("b1")) is not None
    bench.settle()

    assert (bench.batch().status, bench.batch().completed) == ("completed", 12)
    assert nothing_is_left(bench)


def test_a_batch_goes_on_when_all_that_was_given_up_is_replayed(bench: Bench) -> None:
    first, second = first_chunk_at_work(bench, payments(12)), chunk_entry("b1", 1)
    assert bulk.bulk_runtime().store.claim_chunk("b1") == 1
    give_up(bench, first)
    give_up(bench, second)

    assert letters(bench).replay(first)
    bench.work()
    assert (bench.batch().status, bench.batch().done_chunks) == ("failed", 1)

    assert letters(bench).replay(second)
    bench.settle()

    assert (bench.batch().status, bench.batch().completed) == ("completed", 12)
    assert nothing_is_left(bench)


def test_a_batch_whose_own_entry_was_given_up_is_replayed_from_there(bench: Bench) -> None:
    bench.accept(payments(12))
    give_up(bench, batch_entry("b1"))
    bench.work()
    assert bench.batch().status == "failed"
    assert letters(bench).find(batch_entry("b1")) is not None

    assert letters(bench).replay(batch_entry("b1"))
    assert bench.take_message() == batch_entry("b1")
    tasks.open_batch(batch_entry("b1"))
    bench.settle()

    assert (bench.batch().status, bench.batch().completed) == ("completed", 12)
    assert nothing_is_left(bench)


def test_an_upload_that_cannot_be_opened_fails_its_batch_at_the_last_attempt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **_named: object) -> None:
        raise OSError(errno.EIO, "broken disk")

    with monkeypatch.context() as patch:
        patch.setattr(opening, "unpack_upload", broken)
        with pytest.raises(OSError, match="broken disk"):
            bench.accept(payments(4))
        for _ in range(1, bench.settings.inbox_attempts):
            with pytest.raises(OSError, match="broken disk"):
                tasks.open_batch(batch_entry("b1"))
    assert (bench.batch().status, bench.batch().error_code) == ("failed", "dead_letter")
    assert bench.client.scard(names.open_batches_key("client")) == 0

    assert letters(bench).replay(batch_entry("b1"))
    assert bench.take_message() == batch_entry("b1")
    tasks.open_batch(batch_entry("b1"))
    bench.settle()
    assert (bench.batch().status, bench.batch().completed) == ("completed", 4)


def test_a_cancelled_batch_ends_although_the_chunk_that_is_out_is_given_up(bench: Bench) -> None:
    entry = first_chunk_at_work(bench, payments(12))
    assert cancel(bench) == "cancelling"
    tasks.open_batch(batch_entry("b1"))

    give_up(bench, entry)

    assert (bench.batch().status, bench.batch().expires_ms > 0) == ("cancelled", True)
    assert bench.client.scard(names.open_batches_key("client")) == 0
    assert bench.client.zcard(names.INBOX_DUE) == 0


def test_a_cancelled_batch_whose_upload_cannot_be_opened_is_cancelled(bench: Bench) -> None:
    bench.accept(payments(4))
    bench.client.hset(names.batch_key("b1"), "status", "cancelling")

    give_up(bench, batch_entry("b1"))

    assert bench.batch().status == "cancelled"


def cancel(bench: Bench) -> str:
    """What the web side does when a client cancels. Returns the batch's status."""
    entry = batch_entry("b1")
    answer: Any = register(bench.client, "cancel_batch")(
        keys=[names.batch_key("b1"), names.inbox_key(entry), names.INBOX_DUE],
        args=["b1", entry, names.open_batches_key(""), 1000],
    )
    return str(answer[1].decode())


def test_a_chunk_that_ends_after_it_was_given_up_is_done_and_its_batch_goes_on(bench: Bench) -> None:
    entry = first_chunk_at_work(bench, payments(8))
    running = bench.batch()
    give_up(bench, entry)

    finish_chunk(bulk.bulk_runtime(), running, 0, attempt=1, was_deferred=False)
    assert bench.batch().status == "in_progress"
    tasks.open_batch(batch_entry("b1"))  # the reaper's message: the batch is due at once
    bench.settle()

    assert (bench.batch().status, bench.batch().completed) == ("completed", 8)
    assert nothing_is_left(bench)


def test_a_dead_letter_that_the_batch_was_not_told_of_is_found(bench: Bench) -> None:
    entry = first_chunk_at_work(bench, payments(8))
    bench.client.hset(names.inbox_key(entry), "attempts", bench.settings.inbox_attempts)
    assert bench.scoring.inbox.claim(entry) is None  # and the worker dies here

    tasks.open_batch(batch_entry("b1"))

    assert (bench.batch().status, bench.batch().error_code) == ("failed", "dead_letter")


def test_dead_letters_of_a_batch_go_with_its_files(bench: Bench) -> None:
    entry = first_chunk_at_work(bench, payments(8))
    give_up(bench, entry)
    bench.client.hset(names.batch_key("b1"), "expires_ms", 1)
    bench.client.zadd(names.BATCHES, {"b1": 1})

    assert expire_batches(bench.background) == {"batches_expired": 1}

    assert not letters(bench).replay(entry)
    assert nothing_is_left(bench)


def nothing_is_left(bench: Bench) -> bool:
    """Of a batch's work: neither entries nor dead letters, and no slot of its client."""
    keys = [names.DEAD_LETTERS, names.INBOX_DUE, names.open_batches_key("client"), names.dead_chunks_key("b1")]
    return bench.client.exists(*keys) == 0 and not list(bench.client.scan_iter(names.inbox_key("*")))


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

    entry = first_chunk_at_work(bench, payments(4))
    with monkeypatch.context() as patch:
        patch.setattr(bench.ledger, "decisions_json", ledger_away)
        for _ in range(2 * bench.settings.inbox_attempts):
            tasks.score_chunk(entry)
    assert bench.client.hget(names.inbox_key(entry), "attempts") == b"1"

    tasks.score_chunk(entry)
    bench.settle()

    assert (bench.batch().status, bench.batch().completed, bench.errors()) == ("completed", 4, [])
    assert bench.client.zcard(names.DEAD_LETTERS) == 0


def test_a_worker_that_stops_while_it_waits_for_the_ledger_leaves_its_chunk_to_the_next(
    redis_url: str, redis_client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(redis_url, redis_client, tmp_path, bulk_journal_chunks=1)
    bench.accept(payments(8))
    tasks.score_chunk(bench.take_message() or "")
    with monkeypatch.context() as patch:
        patch.setattr(state, "should_stop", 0)
        tasks.score_chunk(bench.take_message() or "")
    entry = chunk_entry("b1", 1)
    assert bench.client.hmget(names.inbox_key(entry), "attempts", "failure") == [b"0", b"WorkerStopping"]

    journal_drain(bench.background, stream=names.JOURNAL_BULK).run(10)
    tasks.score_chunk(entry)
    bench.settle()

    assert (bench.batch().status, bench.batch().completed) == ("completed", 8)
    bench.close()


def test_a_report_that_cannot_be_written_costs_attempts_and_no_row(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **_named: object) -> None:
        raise OSError(errno.EIO, "broken disk")

    entry = first_chunk_at_work(bench, payments(4))
    with monkeypatch.context() as patch:
        patch.setattr(scoring, "write_report", broken)
        with pytest.raises(OSError, match="broken disk"):
            tasks.score_chunk(entry)
    assert bench.client.hget(names.inbox_key(entry), "attempts") == b"2"

    tasks.score_chunk(entry)
    bench.settle()

    assert (bench.batch().status, bench.batch().completed, bench.errors()) == ("completed", 4, [])


@pytest.mark.parametrize("fails", [away, full])
def test_a_batch_outlives_a_blob_store_that_is_away_or_full_for_long(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, fails: Callable[..., None]
) -> None:
    bench.accept(payments(12))
    with monkeypatch.context() as patch:
        patch.setattr(scoring, "write_report", fails)
        for _ in range(2 * bench.settings.inbox_attempts):
            bench.work()
            tasks.open_batch(batch_entry("b1"))  # the reaper's message: nothing went on for a while
    assert bench.batch().status == "in_progress"

    for chunk in range(3):
        tasks.score_chunk(chunk_entry("b1", chunk))
    bench.settle()

    assert (bench.batch().status, bench.batch().completed) == ("completed", 12)


def test_a_worker_that_was_overtaken_leaves_nothing_in_the_inbox(bench: Bench) -> None:
    entry = first_chunk_at_work(bench, payments(4))
    suspects = Suspects(bench.client, names.inbox_key(entry), attempt=2)
    tasks.score_chunk(entry)

    with suspects.cleared_unless_killed():
        suspects.begin(1)

    assert not bench.client.exists(names.inbox_key(entry))


def test_chunks_that_lost_the_broker_have_their_attempts_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object, **_named: object) -> None:
        raise redis.ConnectionError("reset")

    bench.accept(payments(12))
    with monkeypatch.context() as patch:
        patch.setattr(scoring, "read_rows", cut)
        for ticket in (bench.take_message(), bench.take_message()):
            assert ticket is not None
            with pytest.raises(redis.ConnectionError):
                tasks.score_chunk(ticket)
    lost = [names.inbox_key(chunk_entry("b1", chunk)) for chunk in (0, 1)]
    assert [bench.client.hget(entry, "attempts") for entry in lost] == [b"0", b"1"]

    tasks.score_chunk("b1")

    assert [bench.client.hget(entry, "attempts") for entry in lost] == [b"0", b"0"]
    for chunk in (0, 1):
        tasks.score_chunk(chunk_entry("b1", chunk))
    bench.settle()
    assert (bench.batch().status, bench.batch().completed) == ("completed", 12)


def first_chunk_at_work(bench: Bench, rows: list[dict[str, Any]]) -> str:
    """The inbox entry of a batch's first chunk, which a worker took: the next attempt tries its rows alone."""
    bench.accept(rows)
    ticket = bench.take_message()
    assert ticket is not None
    assert bulk.bulk_runtime().store.claim_chunk(ticket) == 0
    return chunk_entry("b1", 0)
