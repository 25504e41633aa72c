"""Accepting work: one script (`accept.lua`) writes the inbox entry and the message that points at it, or neither."""

from __future__ import annotations

from typing import Any

import redis
from celery import Celery

from config import names
from config.queue.messages import TaskMessage
from config.queue.server_scripts import register, script_text
from config.settings import Settings


class Acceptance:
    """Accepts work for one task. Commands are not guarded here: they raise RedisError."""

    def __init__(self, settings: Settings, app: Celery, client: redis.Redis, *, task: str, queue: str) -> None:
        self._message = TaskMessage(app, task, queue)
        self._overdue_s = settings.inbox_overdue_s
        self._accept = register(client, "accept")

    def accept(self, entry_id: str, payload: bytes, *, digest: str, result: str = "", seen: str = "") -> Any:
        """Accept it; what the script says of it, as it says it.

        `digest`: of the content, for which the entry is known again. `result`: the key that says that it is done.
        `seen`: of a transaction, the key of what it saw of history before.
        """
        keys, args = self._call(entry_id, payload, digest, result)
        return self._accept(keys=[*keys, seen] if seen else keys, args=args)

    def accept_within(self, pipe: redis.client.Pipeline, entry_id: str, payload: str, *, digest: str) -> None:
        """The same as a part of a transaction. The script's text, not its digest, is sent.

        A digest that the server does not know would fail alone: the rest of the transaction would stand.
        """
        keys, args = self._call(entry_id, payload, digest, "")
        pipe.eval(script_text("accept"), len(keys), *keys, *args)

    def _call(self, entry_id: str, payload: bytes | str, digest: str, result: str) -> tuple[list[str], list[Any]]:
        message = self._message
        keys = [result, names.inbox_key(entry_id), names.INBOX_DUE, message.queue]
        return keys, [digest, entry_id, payload, message.task, message.render(entry_id), self._overdue_s]
