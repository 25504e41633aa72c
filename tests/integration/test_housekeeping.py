"""Housekeeping on a real server: what is old goes, what is young or needed stays, twice is harmless."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from config import names
from config.celery_app import make_celery
from config.errors import LedgerUnavailable
from config.metrics.workers import HOUSEKEEPING
from config.queue.batches import BatchRecord, read_batch
from config.settings import Settings
from ml.features.spec import FeatureSpec
from ml.ledger import Ledger
from ml.ledger.records import DecidedRow
from tests.batch_paths import BatchPaths
from tests.ledger_entries import SCHEMA, entry, label
from workers import background, housekeeping, metrics
from workers.background import BackgroundRuntime
from workers.upkeep import results
from workers.upkeep.audit import seal_audit
from workers.upkeep.batches import expire_batches, remove_orphans
from workers.upkeep.dead_letters import drop_dead_letters
from workers.upkeep.ledger import prune_ledger
from workers.upkeep.results import shrink_old_results

DAY_S = 86_400


@pytest.fixture
def runtime(redis_client: Redis, redis_url: str, tmp_path: Path) -> Iterator[BackgroundRuntime]:
    settings = Settings(
        redis_url=redis_url,
        blob_dir=tmp_path / "blobs",
        result_ttl_s=3600,
        dead_letter_ttl_s=DAY_S,
        bulk_results_ttl_s=600,
        label_delay_s=7 * DAY_S,
        ledger_retention_s=30 * DAY_S,
    )
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=SCHEMA)
    ledger.migrate()
    spec = FeatureSpec.from_schema(SCHEMA)
    app = make_celery(settings, "background")
    yield BackgroundRuntime(settings, redis_client, ledger, SCHEMA, spec, app, "test")
    ledger.close()


def ago(**units: float) -> str:
    return (datetime.now(UTC) - timedelta(**units)).isoformat()


def stored_result(runtime: BackgroundRuntime, number: int, **changes: Any) -> None:
    """A decision that the ledger has and that Redis has whole."""
    decided = entry(number, **changes)
    runtime.ledger.store([decided])
    result = names.result_key(decided.decision.transaction_id)
    runtime.client.set(result, decided.record.digest + "{}", ex=5000)


def is_whole(runtime: BackgroundRuntime, number: int) -> bool:
    return bool(runtime.client.strlen(names.result_key(f"t-{number}")) > 16)


def test_old_results_shrink_and_young_ones_stay_whole(runtime: BackgroundRuntime) -> None:
    stored_result(runtime, 1, scored_at=ago(hours=2))
    stored_result(runtime, 2, scored_at=ago(minutes=5))
    runtime.client.set(names.result_key("t-3"), f"{3:016x}{{}}")

    assert shrink_old_results(runtime) == {"results_shrunk": 1}

    assert [is_whole(runtime, number) for number in (1, 2, 3)] == [False, True, True], "3 is not in the ledger"
    assert runtime.client.exists(names.result_key("t-1"))
    assert shrink_old_results(runtime) == {"results_shrunk": 0}


def test_shrinking_goes_on_behind_its_cursor_page_by_page(
    runtime: BackgroundRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "ROWS_PER_PAGE", 2)
    for number in range(5):
        stored_result(runtime, number, scored_at=ago(hours=2))

    assert shrink_old_results(runtime) == {"results_shrunk": 5}
    stored_result(runtime, 7, scored_at=ago(hours=3))

    assert shrink_old_results(runtime) == {"results_shrunk": 1}


def test_a_row_from_a_clock_that_is_ahead_does_not_hold_up_the_others(runtime: BackgroundRuntime) -> None:
    stored_result(runtime, 1, scored_at=ago(days=-400))
    stored_result(runtime, 2, scored_at=ago(hours=2))

    assert shrink_old_results(runtime) == {"results_shrunk": 2}


def batch(runtime: BackgroundRuntime, batch_id: str, **changes: Any) -> BatchPaths:
    """A completed batch with a results file, whose results can be read for another hour."""
    now_ms = int(time.time() * 1000)
    record = BatchRecord(batch_id, "shop", "completed", "ndjson", False, 9, now_ms, ended_ms=now_ms)
    record = replace(record, **({"expires_ms": now_ms + 3_600_000} | changes))
    runtime.client.hset(names.batch_key(batch_id), mapping=record.fields())  # type: ignore[arg-type]
    runtime.client.zadd(names.BATCHES, {batch_id: now_ms})
    return files(runtime, batch_id)


def files(runtime: BackgroundRuntime, batch_id: str) -> BatchPaths:
    kept = BatchPaths.of(runtime.settings.blob_dir, batch_id)
    kept.results(0).parent.mkdir(parents=True)
    kept.results(0).write_bytes(b"{}\n")
    kept.upload.write_bytes(b"{}\n")
    return kept


def test_a_batch_past_its_time_says_expired_and_loses_its_files(runtime: BackgroundRuntime) -> None:
    old, young = batch(runtime, "old", expires_ms=1), batch(runtime, "young")
    endless = batch(runtime, "endless", status="in_progress", expires_ms=0)

    assert expire_batches(runtime) == {"batches_expired": 1}

    record = read_batch(runtime.client, "old")
    assert record is not None
    assert record.status == "expired"
    assert 0 < runtime.client.ttl(names.batch_key("old")) <= 600
    assert [kept.directory.exists() for kept in (old, young, endless)] == [False, True, True]
    assert expire_batches(runtime) == {"batches_expired": 0}


def test_an_unfinished_batch_that_expires_is_no_longer_open(runtime: BackgroundRuntime) -> None:
    batch(runtime, "stuck", status="in_progress", expires_ms=1, ended_ms=0)
    runtime.client.sadd(names.open_batches_key("shop"), "stuck")
    runtime.client.sadd(names.BATCHES_FINALIZING, "stuck")
    runtime.client.zadd(names.INBOX_DUE, {"batch:stuck": 1})
    runtime.client.hset(names.inbox_key("batch:stuck"), "payload", "stuck")

    expire_batches(runtime)

    record = read_batch(runtime.client, "stuck")
    assert record is not None
    assert (record.status, record.ended_ms > 0) == ("expired", True)
    gone = (names.open_batches_key("shop"), names.BATCHES_FINALIZING, names.INBOX_DUE, names.inbox_key("batch:stuck"))
    assert not runtime.client.exists(*gone)


def test_a_batch_whose_record_is_gone_leaves_the_list(runtime: BackgroundRuntime) -> None:
    runtime.client.zadd(names.BATCHES, {"gone": 1})

    expire_batches(runtime)

    assert runtime.client.zcard(names.BATCHES) == 0


def test_directories_of_no_batch_go_after_a_day_without_a_write(runtime: BackgroundRuntime) -> None:
    known, orphan, upload_under_way = batch(runtime, "known"), files(runtime, "orphan"), files(runtime, "under-way")
    for kept in (known, orphan, upload_under_way):
        for path in (kept.directory, *kept.directory.iterdir()):
            os.utime(path, (1, 1))
    os.utime(upload_under_way.upload)

    assert remove_orphans(runtime) == {"batch_directories": 1}

    assert [kept.directory.exists() for kept in (known, orphan, upload_under_way)] == [True, False, True]


def test_without_a_blob_directory_there_is_nothing_to_remove(runtime: BackgroundRuntime) -> None:
    assert remove_orphans(runtime) == {"batch_directories": 0}


def test_dead_letters_are_dropped_with_their_entries_when_they_are_old(runtime: BackgroundRuntime) -> None:
    now_s = int(time.time())
    runtime.client.zadd(names.DEAD_LETTERS, {"old": now_s - DAY_S - 5, "young": now_s - DAY_S + 600})
    for entry_id in ("old", "young"):
        runtime.client.hset(names.inbox_key(entry_id), "payload", "x")

    assert drop_dead_letters(runtime) == {"dead_letters": 1}

    assert runtime.client.zrange(names.DEAD_LETTERS, 0, -1) == [b"young"]
    assert not runtime.client.exists(names.inbox_key("old"))
    assert runtime.client.exists(names.inbox_key("young"))


def test_what_a_dropped_dead_letter_saw_goes_with_it_and_what_other_content_saw_stays(
    runtime: BackgroundRuntime,
) -> None:
    mine, other = "a" * 16, "b" * 16
    for entry_id, transaction_id, digest in (
        ("t1", "t1", mine),
        ("transaction:label:7", "label:7", mine),
        ("label:8", "label:8", other),
    ):
        runtime.client.hset(names.inbox_key(entry_id), "digest", mine)
        runtime.client.set(names.seen_key(transaction_id), f"{digest} 1 0 0")
        runtime.client.zadd(names.DEAD_LETTERS, {entry_id: 1})

    assert drop_dead_letters(runtime) == {"dead_letters": 3}

    assert runtime.client.keys("tollgate:*") == [names.seen_key("label:8").encode()]


def test_the_ledger_keeps_what_is_young(runtime: BackgroundRuntime) -> None:
    runtime.ledger.store([entry(1, scored_at=ago(days=40)), entry(2, scored_at=ago(days=20))])
    runtime.ledger.store_label(label(1))

    assert prune_ledger(runtime) == {"decisions": 1, "labels": 1}
    assert runtime.ledger.count_decisions() == 1


def test_a_retention_of_0_deletes_nothing(runtime: BackgroundRuntime) -> None:
    runtime.ledger.store([entry(1, scored_at=ago(days=4000))])
    endless = replace(runtime, settings=runtime.settings.model_copy(update={"ledger_retention_s": 0}))

    assert prune_ledger(endless) == {"decisions": 0, "labels": 0}
    assert runtime.ledger.count_decisions() == 1


def counted(kind: str) -> float:
    return float(metrics.HOUSEKEEPING.labels(kind)._value.get())


class DownLedger(Ledger):
    """A ledger that does not answer."""

    def decided_after(self, row_id: int, *, limit: int) -> list[DecidedRow]:
        raise LedgerUnavailable("the database does not answer")


def test_the_task_does_every_part_counts_it_and_survives_one_that_fails(
    runtime: BackgroundRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = DownLedger(runtime.settings.database_url, schema=SCHEMA)
    monkeypatch.setattr(background, "_runtime", replace(runtime, ledger=down))
    batch(runtime, "old", expires_ms=1)
    before = counted("batches_expired")

    for _ in range(2):
        housekeeping.keep_house()

    assert counted("batches_expired") - before == 1
    down.close()


def test_everything_that_housekeeping_counts_is_exported_from_the_start(runtime: BackgroundRuntime) -> None:
    kinds = [kind for part in housekeeping.PARTS for kind in part(runtime)]

    assert sorted(kinds) == sorted(HOUSEKEEPING.labels[0].values)


def test_decisions_join_the_chain_once_they_have_settled(
    runtime: BackgroundRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime.ledger.store([entry(1), entry(2)])
    assert [seal_audit(runtime) for _ in range(2)] == [{"audit_sealed": 0}] * 2, "they may have been numbered just now"

    monkeypatch.setattr("workers.upkeep.audit.SETTLED_AFTER_S", 0)
    runtime.ledger.store([entry(3)])

    assert [seal_audit(runtime) for _ in range(3)] == [{"audit_sealed": n} for n in (2, 1, 0)]
    *_, found = runtime.ledger.audit.verify(retained_since=None)
    assert (found.is_whole, found.rows) == (True, 3)
