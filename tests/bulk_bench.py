"""A bulk worker and a background worker in the process of the test, for batches from upload to last decision."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
from redis import Redis

from config import names
from config.blobs.choice import blobs_of
from config.blobs.store import Listed
from config.celery_app import make_celery
from config.contracts import ChampionPointer
from config.queue.batches import BatchFiles, BatchRecord, batch_entry, read_batch
from config.schema.load import parse_schema
from config.schema.validate import compile_validator
from config.settings import Settings
from ml.decisions import Thresholds
from ml.features.online import Featurizer
from ml.features.spec import FeatureSpec
from ml.ledger import Ledger
from ml.policy import Policy
from web.batch_rows import as_lines, rows_of
from workers import background, runtime
from workers.background import BackgroundRuntime
from workers.batches import complete_batches
from workers.bulk import runtime as bulk
from workers.bulk import tasks
from workers.bulk.chunk import ChunkScorer
from workers.bulk.runtime import BulkRuntime
from workers.bulk.store import BulkStore
from workers.journal import journal_drain
from workers.runtime import ScoringRuntime
from workers.scorer import BatchScorer

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

    def accept(self, rows: list[dict[str, Any]], batch_id: str = "b1", *, traceparent: str = "") -> None:
        """What the web side does with an upload; `traceparent`: of its request."""
        with BatchFiles.of(blobs_of(self.settings), batch_id).upload.written() as file:
            file.write("\n".join(json.dumps(row) for row in rows).encode())
        self.created_ms = int(self.client.time()[0]) * 1000
        batch = BatchRecord(
            batch_id, "client", "validating", "ndjson", False, 1, self.created_ms, traceparent=traceparent
        )
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

    def results(self, batch_id: str = "b1") -> list[dict[str, Any]]:
        return _objects(BatchFiles.of(blobs_of(self.settings), batch_id).all_results())

    def errors(self, batch_id: str = "b1") -> list[dict[str, Any]]:
        return _objects(BatchFiles.of(blobs_of(self.settings), batch_id).all_errors())


def _objects(files: Sequence[Listed]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in b"".join(as_lines(rows_of(files))).splitlines()]


def payments(count: int) -> list[dict[str, Any]]:
    return [{"id": f"t{n}", "amount": n, "account": f"a{n % 3}"} for n in range(1, count + 1)]
