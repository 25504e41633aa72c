"""A batch from its accepted upload to its last decision, on a real Valkey: the tasks without Celery's loop."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from redis import Redis

from config import names
from config.celery_app import make_celery
from config.contracts import ChampionPointer, ScoreRow
from config.queue.batches import BatchFiles, BatchRecord, batch_entry, chunk_entry, read_batch
from config.queue.results import decision_of
from config.schema.load import parse_schema
from config.schema.validate import compile_validator
from config.settings import Settings
from ml.decisions import Thresholds
from ml.features.online import Featurizer
from ml.features.spec import FeatureSpec
from ml.ledger import Ledger
from ml.policy import Policy
from workers import background, runtime
from workers.background import BackgroundRuntime
from workers.batches import complete_batches
from workers.bulk import runtime as bulk
from workers.bulk import tasks
from workers.bulk.chunk import ChunkScorer
from workers.bulk.rows import read_rows
from workers.bulk.runtime import BulkRuntime
from workers.bulk.store import BulkStore
from workers.journal import journal_drain
from workers.runtime import ScoringRuntime
from workers.scorer import BatchScorer
from workers.store import Finished

SCHEMA = parse_schema("""
name = "tiny"
version = 1

[roles]
amount = "amount"
transaction_id = "id"
entities = { account = "account" }

[fields.id]
type = "id"
required = false

[fields.account]
type = "id"
required = false

[fields.amount]
type = "number"
min = 0

[features.account_count_1d]
entity = "account"
aggregate = "count"
window = "1d"
""")
POISON = 5000.0
KILLER = 6000.0


class WorkerKilled(BaseException):
    """Stands for SIGKILL: nothing after it runs."""


class TinyBundle:
    """Probability = amount / 10,000. POISON raises, as a broken model would; KILLER ends the process."""

    model_version = "tiny-1"
    digest = "d" * 64
    thresholds = Thresholds(review=0.3, decline=0.7)

    def __init__(self) -> None:
        self.schema = SCHEMA
        self.spec = FeatureSpec.from_schema(SCHEMA)
        self.featurizer = Featurizer(self.spec, {})
        self.columns = [
            SimpleNamespace(name=name, label=name, unit=None, values=None, typical=1.0) for name in self.spec.columns
        ]

    def score(self, X: Any) -> Any:
        amounts = X[:, list(self.spec.columns).index("amount")]
        if (amounts == KILLER).any():
            raise WorkerKilled
        if (amounts == POISON).any():
            raise FloatingPointError("poison")
        return amounts / 10_000

    def contributions(self, X: Any) -> Any:
        return X / 100


class Bench:
    """One bulk worker and one background worker in this process, taking turns."""

    def __init__(self, redis_url: str, client: Redis, directory: Path, **changes: Any) -> None:
        self.client = client
        self.settings = Settings(
            redis_url=redis_url,
            data_dir=directory,
            database_url=f"sqlite:///{directory / 'ledger.db'}",
            bulk_chunk_rows=4,
            bulk_chunks_ahead=2,
            **changes,
        )
        self.ledger = Ledger(self.settings.database_url, schema=SCHEMA)
        self.ledger.migrate()
        pointer = ChampionPointer("tiny-1", "d" * 64, "tiny-1", 1, "2026-01-01T00:00:00Z")
        client.set(names.CHAMPION, msgspec.json.encode(pointer))
        self._install_bulk()
        self._install_background()

    def close(self) -> None:
        self.scoring.store.close()
        bulk.bulk_runtime().store.close()
        self.ledger.close()

    def _install_bulk(self) -> None:
        scorer = BatchScorer(TinyBundle(), Policy(), explain_above=0.3, reasons_max=2)  # type: ignore[arg-type]
        app = make_celery(self.settings, "bulk")
        self.scoring = ScoringRuntime(self.settings, self.client, worker="bulk-1", load=lambda _: scorer, role="bulk")
        self.scoring.holder.follow()
        runtime.install(self.scoring)
        store = BulkStore(self.client, self.settings, app, self.scoring.store)
        bulk.install(
            BulkRuntime(
                settings=self.settings,
                scoring=self.scoring,
                store=store,
                scorer=ChunkScorer(self.scoring, store, self.ledger, self.settings),
                validator=compile_validator(SCHEMA),
            )
        )

    def _install_background(self) -> None:
        self.background = BackgroundRuntime(
            settings=self.settings,
            client=self.client,
            ledger=self.ledger,
            schema=SCHEMA,
            spec=FeatureSpec.from_schema(SCHEMA),
            app=make_celery(self.settings, "background"),
            worker="background",
        )
        background.install(self.background)

    def accept(self, rows: list[dict[str, Any]], batch_id: str = "b1") -> None:
        """What the web side does with an upload."""
        files = BatchFiles.of(self.settings.blob_dir, batch_id)
        files.directory.mkdir(parents=True)
        files.upload.write_text("\n".join(json.dumps(row) for row in rows))
        self.created_ms = int(self.client.time()[0]) * 1000
        batch = BatchRecord(batch_id, "client", "validating", "ndjson", False, 1, self.created_ms)
        self.client.hset(names.batch_key(batch_id), mapping=batch.fields())
        self.client.sadd(names.open_batches_key("client"), batch_id)
        entry = {"payload": batch_id, "task": names.TASK_OPEN_BATCH, "queue": names.QUEUE_BULK, "attempts": 0}
        self.client.hset(names.inbox_key(batch_entry(batch_id)), mapping=entry)
        self.client.zadd(names.INBOX_DUE, {batch_entry(batch_id): 0})
        tasks.open_batch(batch_entry(batch_id))

    def take_message(self) -> str | None:
        """The argument of the next message on the bulk queue."""
        message: Any = self.client.rpop(names.QUEUE_BULK)
        return json.loads(base64.b64decode(json.loads(message)["body"]))[0][0] if message else None

    def work(self) -> None:
        """Everything on the bulk queue, one message after the other."""
        while (work := self.take_message()) is not None:
            tasks.score_chunk(work)

    def settle(self) -> None:
        """Work, drain, complete."""
        self.work()
        journal_drain(self.background, stream=names.JOURNAL_BULK).run(10)
        complete_batches(self.background)

    def batch(self, batch_id: str = "b1") -> BatchRecord:
        found = read_batch(self.client, batch_id)
        assert found is not None
        return found

    def lines(self, kind: Callable[[BatchFiles, int], Path], batch_id: str = "b1") -> list[dict[str, Any]]:
        files = BatchFiles.of(self.settings.blob_dir, batch_id)
        paths = [kind(files, chunk) for chunk in range(self.batch(batch_id).chunks)]
        return [json.loads(line) for path in paths if path.exists() for line in path.read_bytes().splitlines()]

    def results(self, batch_id: str = "b1") -> list[dict[str, Any]]:
        return self.lines(BatchFiles.results, batch_id)

    def errors(self, batch_id: str = "b1") -> list[dict[str, Any]]:
        return self.lines(BatchFiles.errors, batch_id)


@pytest.fixture
def bench(redis_url: str, redis_client: Redis, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(redis_url, redis_client, tmp_path)
    yield bench
    bench.close()


def payments(count: int) -> list[dict[str, Any]]:
    return [{"id": f"t{n}", "amount": n, "account": f"a{n % 3}"} for n in range(1, count + 1)]


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


def test_a_rerun_batch_gives_the_first_decisions_marked_as_replayed(bench: Bench) -> None:
    bench.accept(payments(6))
    bench.settle()

    bench.accept(payments(6), "b2")
    bench.settle()

    first, second = bench.results(), bench.results("b2")
    assert [line["decision_id"] for line in second] == [line["decision_id"] for line in first]
    assert [line["replayed"] for line in second] == [True] * 6
    assert bench.ledger.count_decisions() == 6


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


def test_a_chunk_whose_payload_is_gone_does_not_hold_up_the_others(bench: Bench) -> None:
    bench.accept(payments(8))
    bench.work()
    [first, _] = sorted(bench.client.scan_iter(names.bulk_payload_key("*")))
    bench.client.delete(first)

    journal_drain(bench.background, stream=names.JOURNAL_BULK).run(10)

    assert bench.ledger.count_decisions() == 4
    [(_, refused)] = bench.client.xrange(names.JOURNAL_REFUSED)  # type: ignore[misc]
    assert refused[b"reason"] == b"its payload is gone"


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
    files = BatchFiles.of(bench.settings.blob_dir, "b1")
    rows = read_rows(files, "ndjson", 0, bulk.bulk_runtime().validator, 4096)
    _, outcomes = bulk.bulk_runtime().scorer.score(bench.batch(), rows, is_retry=False)

    tasks.score_chunk(chunk_entry("b1", 0))
    bench.settle()

    decided = [json.loads(outcome.decision)["decision_id"] for outcome in outcomes]
    assert [line["decision_id"] for line in bench.results()] == decided
    assert [line["replayed"] for line in bench.results()] == [False] * 4


def test_a_chunk_replayed_when_redis_has_forgotten_it_keeps_the_decisions_of_the_ledger(bench: Bench) -> None:
    bench.accept([{"amount": n} for n in range(3)])
    ticket = bench.take_message()
    assert ticket is not None
    assert bulk.bulk_runtime().store.claim_chunk(ticket) == 0
    files = BatchFiles.of(bench.settings.blob_dir, "b1")
    rows = read_rows(files, "ndjson", 0, bulk.bulk_runtime().validator, 4096)
    _, outcomes = bulk.bulk_runtime().scorer.score(bench.batch(), rows, is_retry=False)
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


def test_a_batch_without_rows_is_completed(bench: Bench) -> None:
    bench.accept([])
    bench.settle()

    assert (bench.batch().status, bench.batch().total) == ("completed", 0)


def test_a_batch_with_too_many_rows_fails_with_the_reason_and_leaves_no_file(redis_url, redis_client, tmp_path) -> None:
    bench = Bench(redis_url, redis_client, tmp_path, bulk_max_rows=3)

    bench.accept(payments(4))

    assert (bench.batch().status, bench.batch().error_code) == ("failed", "too_many_rows")
    assert "more than 3 rows" in bench.batch().error_detail
    assert bench.client.smembers(names.open_batches_key("client")) == set()
    assert bench.client.zcard(names.INBOX_DUE) == 0
    assert not BatchFiles.of(bench.settings.blob_dir, "b1").directory.exists()
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
