"""The message that web pushes is the message that kombu would have pushed."""

from __future__ import annotations

import base64
import json

import pytest

from config import names
from config.celery_app import make_celery
from config.queue.messages import TaskMessage, capture_envelope
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
