"""Dead letters as an operator handles them: look, replay, drop. Used by the web side and by the command line.

A dead letter is an inbox entry that used up its attempts. Its hash stays as it was accepted, with `dead_ms`, `attempts`
and the last known `failure`; `names.DEAD_LETTERS` orders them by when they were given up (Unix seconds).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import redis
from celery import Celery

from config import names
from config.contracts import LabelEntry, ScoreRow
from config.queue.messages import task_message
from config.queue.server_scripts import register
from config.settings import Settings

Kind = Literal["transaction", "label", "labels", "batch", "chunk", "other"]

_KINDS: Mapping[str, Kind] = {
    names.TASK_SCORE_ACCEPTED: "transaction",
    names.TASK_RECORD_LABEL: "label",
    names.TASK_RECORD_LABELS: "labels",
    names.TASK_OPEN_BATCH: "batch",
    names.TASK_SCORE_CHUNK: "chunk",
}
_FIELDS = ("task", "queue", "accepted_s", "dead_ms", "attempts", "failure", "payload")
_row = msgspec.json.Decoder(ScoreRow)
_label = msgspec.json.Decoder(LabelEntry)
_labels = msgspec.json.Decoder(list[LabelEntry])


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Accepted work that was given up.

    `entry_id`: the transaction id; with a prefix for other kinds of work. `failure`: why the last attempt that could
    say so failed; None when none could (its worker died). `payload` is what was accepted: card data may be in it.
    """

    entry_id: str
    kind: Kind
    task: str
    queue: str
    accepted_at: datetime
    dead_at: datetime
    attempts: int
    failure: str | None
    payload: bytes

    def content(self, field_names: Sequence[str]) -> dict[str, Any]:
        """What was accepted, by name, without what was not sent. `field_names`: the schema's, in file order.

        Of a payload that is not what its task expects (it may be why the work failed) only the text is known.
        """
        try:
            return self._content(field_names)
        except (msgspec.MsgspecError, ValueError):
            return {"unreadable": self.payload.decode(errors="replace")}

    def _content(self, field_names: Sequence[str]) -> dict[str, Any]:
        if self.kind == "transaction":
            return _named(field_names, _row.decode(self.payload).values)
        if self.kind == "label":
            label = _label.decode(self.payload)
            about = {name: value for name, value in msgspec.to_builtins(label).items() if value not in (None, "")}
            return about | ({} if label.values is None else {"values": _named(field_names, label.values)})
        if self.kind == "labels":
            return {"labels": msgspec.to_builtins(_labels.decode(self.payload))}
        return dict(msgspec.json.decode(self.payload, type=dict[str, Any]))


def types_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content's JSON types in place of its values: what an operator may see without seeing a payment.

    >>> types_of({"amount": 12.5, "card": "4000", "values": {"hour": 3}})
    {'amount': 'number', 'card': 'string', 'values': {'hour': 'number'}}
    """
    return {
        name: types_of(value) if isinstance(value, Mapping) else _type_name(value) for name, value in content.items()
    }


class DeadLetters:
    """The dead letters on one server. Every call raises RedisError; `replay` and `drop` happen at most once each."""

    def __init__(self, client: redis.Redis, app: Celery, settings: Settings) -> None:
        self._client = client
        self._app = app
        self._overdue_s = settings.inbox_overdue_s
        self._replay = register(client, "replay")
        self._drop = register(client, "drop")

    def ids(self) -> list[str]:
        """Every dead letter's entry id, the oldest first."""
        found: Any = self._client.zrange(names.DEAD_LETTERS, 0, -1)
        return [entry.decode() for entry in found]

    def page(self, *, limit: int, offset: int = 0) -> list[DeadLetter]:
        """At most `limit`, the newest first, after skipping `offset`."""
        found: Any = self._client.zrevrange(names.DEAD_LETTERS, offset, offset + limit - 1)
        entry_ids = [entry.decode() for entry in found]
        with self._client.pipeline(transaction=False) as pipe:
            for entry_id in entry_ids:
                pipe.hmget(names.inbox_key(entry_id), *_FIELDS)
            stored = pipe.execute()
        letters = [_dead_letter(*one) for one in zip(entry_ids, stored, strict=True)]
        return [letter for letter in letters if letter is not None]

    def find(self, entry_id: str) -> DeadLetter | None:
        """The dead letter of this entry, or None: unknown, finished, or not given up."""
        stored: Any = self._client.hmget(names.inbox_key(entry_id), *_FIELDS)
        return _dead_letter(entry_id, stored)

    def replay(self, entry_id: str) -> bool:
        """Give it all its attempts again, and a message. False when there is no such dead letter."""
        letter = self.find(entry_id)
        if letter is None:
            return False
        keys = [names.inbox_key(entry_id), names.INBOX_DUE, names.DEAD_LETTERS, letter.queue]
        message = task_message(self._app, letter.task, letter.queue).render(entry_id)
        return bool(self._replay(keys=keys, args=[entry_id, message, self._overdue_s]))

    def drop(self, entry_id: str) -> bool:
        """Forget it for good. False when there is no such dead letter."""
        keys = [names.inbox_key(entry_id), names.DEAD_LETTERS, names.seen_key(names.transaction_of(entry_id))]
        return bool(self._drop(keys=keys, args=[entry_id]))


def _dead_letter(entry_id: str, stored: Sequence[bytes | None]) -> DeadLetter | None:
    task, queue, accepted_s, dead_ms, attempts, failure, payload = stored
    if task is None or queue is None or dead_ms is None:
        return None
    return DeadLetter(
        entry_id=entry_id,
        kind=_KINDS.get(task.decode(), "other"),
        task=task.decode(),
        queue=queue.decode(),
        accepted_at=datetime.fromtimestamp(int(accepted_s or 0), UTC),
        dead_at=datetime.fromtimestamp(int(dead_ms) / 1000, UTC),
        attempts=int(attempts or 0),
        failure=None if failure is None else failure.decode(),
        payload=payload or b"",
    )


def _named(field_names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Values by name. Raises ValueError: another schema than the one they were accepted under."""
    return {name: value for name, value in zip(field_names, values, strict=True) if value is not None}


def _type_name(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "null"
