"""One traced payment, followed from the request over its batch and the worker's stages to the ledger."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from redis import Redis

from config import names
from config.contracts import ChampionPointer
from config.settings import Settings
from config.tracing import request_span
from ml.ledger import Ledger
from ml.policy import Policy
from tests.bulk_bench import Bench
from tests.integration.test_gateway import SCHEMA, open_gateway, transaction
from tests.traced import RecordedSpans, recorded_spans
from tests.unit.workers.test_scorer import TinyBundle
from web.gateway import Gateway
from web.label_chunks import label_entry
from web.ports.labels import Label
from workers import runtime
from workers.journal import JournalDrain, journal_drain
from workers.labels import record_label
from workers.scorer import BatchScorer
from workers.scoring import score_batch

ASKED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
STAGES = {"observe", "features", "predict", "decide", "commit"}


@pytest.fixture
def gateway(redis_url: str, tmp_path: Path) -> Iterator[Gateway]:
    opened = open_gateway(redis_url, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def worker(redis_client: Redis, monkeypatch: pytest.MonkeyPatch) -> runtime.ScoringRuntime:
    """A scoring worker's parts in this process, with a model of one line."""
    bundle: Any = TinyBundle()
    one = runtime.ScoringRuntime(
        Settings(),
        redis_client,
        worker="scoring-1@here",
        load=lambda _: BatchScorer(bundle, Policy(), explain_above=1.0, reasons_max=1),
    )
    redis_client.set(names.CHAMPION, msgspec.json.encode(ChampionPointer("m1", "d", "m1", 1, "now")))
    one.holder.follow()
    monkeypatch.setattr(runtime, "_runtime", one)
    return one


def work_one_message_off(client: Redis) -> None:
    _, message = client.brpop([names.QUEUE_SCORE], timeout=5)  # type: ignore[misc, union-attr]
    [[payload], *_] = json.loads(base64.b64decode(json.loads(message)["body"]))
    score_batch(payload)


def follow_one_payment(gateway: Gateway, client: Redis, tmp_path: Path) -> list[ReadableSpan]:
    with recorded_spans() as spans:
        serve = threading.Thread(target=work_one_message_off, args=(client,))
        serve.start()
        with request_span("POST /predict", ASKED):
            outcome = gateway.score(transaction(amount=100.0), transaction_id="t1", wait_ms=5000, explain=False)
        serve.join()
        assert outcome.status == "decided"
        drain(client, tmp_path)
        return RecordedSpans.finished(spans)


def drain(client: Redis, tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=SCHEMA)
    assert JournalDrain(client, ledger, SCHEMA, Settings(), consumer="here").run(5.0) == 1
    ledger.close()


def test_a_payment_is_followed_from_its_request_to_the_ledger(
    gateway: Gateway, worker: runtime.ScoringRuntime, redis_client: Redis, tmp_path: Path
) -> None:
    spans = {span.name: span for span in follow_one_payment(gateway, redis_client, tmp_path)}

    assert spans.keys() == {"POST /predict", "batch", "score", "ledger"} | STAGES
    request = spans["POST /predict"].context
    assert request is not None
    assert f"{request.trace_id:032x}" in ASKED
    for linked in ("batch", "score", "ledger"):
        assert [link.context.span_id for link in spans[linked].links] == [request.span_id], linked
    assert parent_of(spans["score"]) == id_of(spans["batch"])
    for stage in STAGES:
        assert parent_of(spans[stage]) == id_of(spans["score"]), stage


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def id_of(span: ReadableSpan) -> int | None:
    return span.context.span_id if span.context else None


def test_a_file_is_followed_from_its_upload_over_its_chunks_to_the_ledger(bench: Bench) -> None:
    with recorded_spans() as recorded:
        with request_span("POST /batches", ASKED) as upload:
            bench.accept([{"amount": 10.0 + number} for number in range(6)], traceparent=upload)
        bench.settle()
    spans = recorded.finished()

    [request] = [span for span in spans if span.name == "POST /batches"]
    chunks = [span for span in spans if span.name == "chunk"]
    [ledger] = [span for span in spans if span.name == "ledger"]
    assert [parent_of(span) for span in spans if span.name == "open batch"] == [id_of(request)]
    assert [parent_of(span) for span in chunks] == [id_of(request)] * 2
    assert {parent_of(span) for span in spans if span.name == "predict"} == {id_of(span) for span in chunks}
    assert [link.context.span_id for link in ledger.links] == [id_of(request)]


def test_a_file_that_nobody_follows_makes_no_spans(bench: Bench) -> None:
    with recorded_spans() as recorded:
        bench.accept([{"amount": 10.0}])
        bench.settle()

    assert recorded.finished() == []


def test_a_label_is_followed_from_its_request_to_the_ledger(bench: Bench) -> None:
    label = Label(
        "l1", is_fraud=True, source="api", known_at=datetime(2026, 3, 1, tzinfo=UTC), digest="f" * 16, values=[]
    )
    with recorded_spans() as recorded:
        with request_span("POST /feedback", ASKED):
            payload = msgspec.json.encode(label_entry(label, None, None))
        accepted = {"payload": payload, "task": names.TASK_RECORD_LABEL, "queue": names.QUEUE_BACKGROUND, "attempts": 0}
        bench.client.hset(names.inbox_key("label:l1"), mapping=accepted)
        bench.client.zadd(names.INBOX_DUE, {"label:l1": 0})
        record_label("label:l1")
        assert journal_drain(bench.background).run(5.0) == 1
    by_name = {span.name: span for span in recorded.finished()}

    assert by_name.keys() == {"POST /feedback", "label", "ledger"}
    request = id_of(by_name["POST /feedback"])
    assert parent_of(by_name["label"]) == request
    assert [link.context.span_id for link in by_name["ledger"].links] == [request]
