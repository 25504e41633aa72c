"""What the tests of the inbox share: accept work as web does, take messages as a worker does, let time pass."""

from __future__ import annotations

import base64
import json
from functools import cache, lru_cache
from typing import Any

import msgspec
from celery import Celery
from redis import Redis

from config import names
from config.celery_app import make_celery
from config.contracts import ScoreRow
from config.queue.messages import task_message
from config.queue.server_scripts import register
from config.schema.load import load_schema
from config.schema.validate import compile_validator
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from tests.web_app import PAYMENT
from workers.store import Finished, TransactionStore

SETTINGS = Settings(inbox_overdue_s=30, inbox_attempts=3)
OVERDUE_S = SETTINGS.inbox_overdue_s
DIGEST = "0123456789abcdef"
VALUES = compile_validator(load_schema(DEFAULT_SCHEMA)).validate(PAYMENT).values


@cache
def app() -> Celery:
    """One application for the session: an envelope takes 5 ms to make."""
    return make_celery(SETTINGS, "background")


def row(entry_id: str, *, digest: str = DIGEST) -> ScoreRow:
    return ScoreRow(entry_id, digest, 0, 1_000_000, list(VALUES))


def accept(client: Redis, entry_id: str, *, digest: str = DIGEST) -> str:
    """Accept a transaction as the gateway does. Returns the script's status letter."""
    message = task_message(app(), names.TASK_SCORE_ACCEPTED, names.QUEUE_ACCEPTED).render(entry_id)
    payload = msgspec.json.encode(row(entry_id, digest=digest))
    keys = [names.result_key(entry_id), names.inbox_key(entry_id), names.INBOX_DUE, names.QUEUE_ACCEPTED]
    args: list[Any] = [digest, entry_id, payload, names.TASK_SCORE_ACCEPTED, message, SETTINGS.inbox_overdue_s]
    answer: Any = register(client, "accept")(keys=keys, args=args)
    status: str = answer[0].decode()
    return status


def finish(client: Redis, entry_id: str, *, status: str = "N") -> int:
    """Commit a decision as the scoring worker does."""
    finished = Finished(row(entry_id), status, b"{}", b"{}", b"", has_seen=False, is_from_inbox=True)
    return _store(client).commit([finished], reply_to="", batch_id=0)


@lru_cache(maxsize=1)
def _store(client: Redis) -> TransactionStore:
    return TransactionStore(client, SETTINGS)


def entry_of(message: bytes) -> str:
    """The entry id that a message carries."""
    entry_id: str = json.loads(base64.b64decode(json.loads(message)["body"]))[0][0]
    return entry_id


def waiting(client: Redis, queue: str = names.QUEUE_ACCEPTED) -> list[str]:
    """The entry ids whose messages wait in a queue, in the order in which they are consumed."""
    messages: Any = client.lrange(queue, 0, -1)
    return [entry_of(message) for message in reversed(messages)]


def take(client: Redis, queue: str = names.QUEUE_ACCEPTED) -> str:
    """Pop the next message as a worker does. Returns its entry id."""
    message: Any = client.rpop(queue)
    return entry_of(message)


def let_time_pass(client: Redis, seconds: float) -> None:
    """Every due time moves closer: nothing else compares with the clock."""
    due: Any = client.zrange(names.INBOX_DUE, 0, -1)
    for entry in due:
        client.zincrby(names.INBOX_DUE, -seconds, entry)


def attempts_of(client: Redis, entry_id: str) -> int:
    return int(client.hget(names.inbox_key(entry_id), "attempts") or 0)  # type: ignore[arg-type]


def dead(client: Redis) -> list[bytes]:
    found: Any = client.zrange(names.DEAD_LETTERS, 0, -1)
    return list(found)


def due_in_s(client: Redis, entry_id: str) -> float:
    score: Any = client.zscore(names.INBOX_DUE, entry_id)
    now_s, now_us = client.time()
    return float(score - now_s - now_us / 1e6)
