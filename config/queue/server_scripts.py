"""The server-side scripts, loaded from `lua/`. Each file's head says what it promises."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any, Literal

import hiredis
import redis
from redis.commands.core import Script

ScriptName = Literal[
    "observe", "commit", "accept", "claim", "retry", "reap", "enqueue", "replay", "drop", "label", "shrink", "forget",
    "claim_chunk", "commit_chunk", "finish_chunk", "start_batch", "end_batch", "cancel_batch", "hold_key", "count",
    "suspect", "fail_batch", "resume_batch", "keep",
]  # fmt: skip


@cache
def script_text(name: ScriptName) -> str:
    """The source of a script, with the parts that it shares with others."""
    return re.sub(r"^-- include (\w+)$", lambda part: _lua(f"parts/{part[1]}"), _lua(name), flags=re.MULTILINE)


def _lua(name: str) -> str:
    return (resources.files("config.queue") / "lua" / f"{name}.lua").read_text("utf-8").rstrip("\n")


class HeldScript:
    """A script on a connection of its own, for a caller that runs it thousands of times a second from one thread.

    redis-py's command path (pool, retries, metrics, a check per argument) costs about 150 us a call; this costs 20.
    After an error the connection is dropped and the next call opens a new one; so it is when the server has closed it
    meanwhile.
    """

    def __init__(self, client: redis.Redis, name: ScriptName) -> None:
        text = script_text(name)
        self._load = ("SCRIPT", "LOAD", text)
        self._sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self._connection: Any = client.connection_pool.make_connection()

    def __call__(self, *, keys: Sequence[Any], args: Sequence[Any]) -> Any:
        """Run the script. Raises RedisError."""
        return self.run_all([(keys, args)])[0]

    def run_all(self, calls: Sequence[tuple[Sequence[Any], Sequence[Any]]]) -> list[Any]:
        """Run the script for each (keys, args), in one round trip. Raises RedisError."""
        commands = [("EVALSHA", self._sha, len(keys), *keys, *args) for keys, args in calls]
        try:
            return self._send(commands)
        except redis.exceptions.NoScriptError:
            self._send([self._load])
            return self._send(commands)

    def close(self) -> None:
        """Drop the connection; the next call opens a new one."""
        self._connection.disconnect()

    def _send(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        self._drop_what_was_cut()
        try:
            self._connection.send_packed_command([hiredis.pack_command(command) for command in commands])
            answers = [self._answer() for _ in commands]
        except BaseException:
            self._connection.disconnect()
            raise
        for answer in answers:
            if isinstance(answer, redis.ResponseError):
                raise answer
        return answers

    def _drop_what_was_cut(self) -> None:
        """Nothing is under way here, so a connection with something to read is at its end."""
        if not self._connection.is_connected:
            return
        try:
            is_usable = not self._connection.can_read()
        except redis.RedisError:
            is_usable = False
        if not is_usable:
            self._connection.disconnect()

    def _answer(self) -> Any:
        try:
            return self._connection.read_response()
        except redis.ResponseError as error:
            return error


def register(client: redis.Redis, name: ScriptName) -> Script:
    """A callable script on `client`: sends its digest, and its text only when the server does not know it."""
    return client.register_script(script_text(name))
