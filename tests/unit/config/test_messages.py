"""The message that Tollgate pushes is the message that kombu would have pushed, and says when it was."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from unittest.mock import create_autospec

import pytest
import redis
from celery import Celery
from celery.signals import before_task_publish

from config import names
from config.celery_app import make_celery
from config.queue.messages import PublishStamp, TaskMessage, capture_envelope, task_message
from config.queue.stamps import ENQUEUED_HEADER, read_stamp
from config.settings import Settings


@pytest.fixture
def rendered() -> dict[str, object]:
    app = make_celery(Settings(), "web")
    message: dict[str, object] = json.loads(
        TaskMessage(app, names.TASK_SCORE_BATCH, names.QUEUE_SCORE).render('{"rows": ["é\\""]}')
    )
    return message


def test_the_envelope_is_what_kombu_itself_writes(rendered: dict[str, object]) -> None:
    app = make_celery(Settings(), "web")
    task_id = rendered["headers"]["id"]  # type: ignore[index]
    theirs = capture_envelope(app, names.TASK_SCORE_BATCH, names.QUEUE_SCORE, task_id)
    for message in (rendered, theirs):
        message.pop("body")
        message["properties"].pop("delivery_tag")  # type: ignore[attr-defined]
        message["properties"].pop("reply_to")  # type: ignore[attr-defined]

    assert rendered == theirs


def test_the_body_carries_the_argument_unchanged(rendered: dict[str, object]) -> None:
    args, kwargs, embedded = json.loads(base64.b64decode(str(rendered["body"])))

    assert args == ['{"rows": ["é\\""]}']
    assert kwargs == {}
    assert set(embedded) == {"callbacks", "errbacks", "chain", "chord"}


def test_every_message_has_its_own_task_id_and_delivery_tag() -> None:
    message = TaskMessage(make_celery(Settings(), "web"), names.TASK_SCORE_BATCH, names.QUEUE_SCORE)
    first, second = json.loads(message.render("")), json.loads(message.render(""))

    assert first["headers"]["id"] != second["headers"]["id"]
    assert first["properties"]["delivery_tag"] != second["properties"]["delivery_tag"]
    assert first["properties"]["correlation_id"] == first["headers"]["id"]


@pytest.mark.parametrize("stamp", [0, 1_700_000_000_123])
def test_the_stamp_is_a_header_and_the_rest_stays(stamp: int) -> None:
    message = TaskMessage(make_celery(Settings(), "web"), names.TASK_RECORD_LABEL, names.QUEUE_BACKGROUND)
    text = message.render('a body with "enqueued_ms":0 in it', enqueued_ms=stamp)

    envelope = json.loads(text)
    assert envelope["headers"][ENQUEUED_HEADER] == stamp == read_stamp(text.encode())
    assert json.loads(base64.b64decode(envelope["body"]))[0] == ['a body with "enqueued_ms":0 in it']
    assert text.count('"enqueued_ms":') == 1, "the scripts replace the first one"


@pytest.mark.parametrize("message", [None, b"", b"no json", b"[]", b"{}", b'{"headers":{"enqueued_ms":"soon"}}'])
def test_what_has_no_stamp_reads_as_0(message: bytes | None) -> None:
    assert read_stamp(message) == 0


@pytest.fixture
def stamped() -> Iterator[None]:
    """Every publish of this process is stamped, on a server whose clock is at 1,000 s."""
    server = create_autospec(redis.Redis, instance=True)
    server.time.return_value = (1000, 0)
    PublishStamp(server).connect()
    yield
    before_task_publish.disconnect(dispatch_uid=ENQUEUED_HEADER)


def published(app: Celery) -> dict[str, object]:
    """The headers of a message that Celery itself published."""
    found: list[dict[str, object]] = []

    def keep(headers: dict[str, object], **_signal: object) -> None:
        found.append(headers)

    before_task_publish.connect(keep, weak=False, dispatch_uid="keep")
    with app.connection_for_write("memory://", transport="memory") as connection, app.amqp.Producer(connection) as to:
        app.send_task(names.TASK_REAP_INBOX, producer=to, ignore_result=True)
    before_task_publish.disconnect(dispatch_uid="keep")
    return found[0]


def test_what_celery_publishes_is_stamped_on_the_servers_clock(stamped: None) -> None:
    stamp = published(make_celery(Settings(), "background"))[ENQUEUED_HEADER]

    assert isinstance(stamp, int)
    assert 1_000_000 <= stamp < 1_060_000, "near the server's time, whatever this machine's clock says"


def test_a_rendered_message_stays_unstamped_where_publishes_are_stamped(stamped: None) -> None:
    message = task_message(make_celery(Settings(), "background"), names.TASK_SCORE_ACCEPTED, names.QUEUE_ACCEPTED)

    assert read_stamp(message.render("t1").encode()) == 0
