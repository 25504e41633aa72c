"""kombu's Redis transport, with two of the worker's four round trips per message taken off its critical path.

- kombu 5.7 builds a `redis.Redis` object on every publish, append and acknowledgement (60-95 us each); here a channel
  keeps one. Delete `conn_or_acquire` when kombu keeps one itself.
- The unacknowledged record (`append`) and its removal (`ack`) are sent at once but their answers are read before the
  next record, not awaited: the task runs meanwhile. What a crash can lose or repeat is the same as before, because
  kombu pops a message before it records it anyway: accepted work is safe in the inbox, and results are idempotent.

Selected by the dotted path in `broker_transport` (config/celery_app.py); ADR 0011 has the measurement.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

import redis
import structlog
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from redis.exceptions import ExecAbortError, OutOfMemoryError

log = structlog.get_logger(__name__)


class UnansweredWriter:
    """Sends small transactions on a connection of its own and reads the answers before the next one.

    Raises the connection's errors from whichever call meets them; the connection is then dropped, and kombu restarts
    its consumer.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._connection: Any = None
        self._unread = 0

    def send(self, commands: Sequence[tuple[Any, ...]]) -> None:
        """Send `commands` as one MULTI/EXEC, after reading what was left unread."""
        try:
            self._read()
            if self._connection is None:
                self._connection = self._pool.get_connection()
            packed = self._connection.pack_commands([("MULTI",), *commands, ("EXEC",)])
            self._connection.send_packed_command(packed)
            self._unread = len(commands) + 2
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Drop the connection with whatever is unread on it."""
        if self._connection is not None:
            self._connection.disconnect()
            self._pool.release(self._connection)
        self._connection, self._unread = None, 0

    def flush(self) -> None:
        """Wait until everything sent has been answered."""
        try:
            self._read()
        except BaseException:
            self.close()
            raise

    def _read(self) -> None:
        is_full = False
        while self._unread:
            self._unread -= 1
            try:
                self._connection.read_response()
            except OutOfMemoryError:
                is_full = True
            except ExecAbortError:
                if not is_full:
                    raise
        if is_full:
            # kombu knows no such error: it would end the worker, and every worker after it. Unrecorded, the message
            # is worked on all the same; accepted work is in the inbox.
            log.warning("unacknowledged_record_refused", reason="the broker is at its memory limit")


class QoS(kombu_redis.QoS):
    """Acknowledgement bookkeeping that does not wait for its answers."""

    def append(self, message: Any, delivery_tag: str) -> None:
        """Record a popped message as unacknowledged."""
        info = message.delivery_info
        raw = json.dumps([message._raw, info["exchange"], info["routing_key"]])
        self.channel.bookkeeping.send(
            [
                ("ZADD", self.unacked_index_key, time.time(), delivery_tag),
                ("HSET", self.unacked_key, delivery_tag, raw),
            ]
        )
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Remove the record of a finished message."""
        self.channel.bookkeeping.send(
            [("ZREM", self.unacked_index_key, delivery_tag), ("HDEL", self.unacked_key, delivery_tag)]
        )
        virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Put the message back first in its queue, or drop it."""
        self.channel.bookkeeping.flush()
        super().reject(delivery_tag, requeue)  # type: ignore[no-untyped-call]

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:
        """Put one unacknowledged message back; what was sent about it is settled first."""
        self.channel.bookkeeping.flush()
        super().restore_by_tag(tag, client, leftmost)  # type: ignore[no-untyped-call]


class Channel(kombu_redis.Channel):
    """A channel that keeps its pooled client and its bookkeeping connection."""

    QoS = QoS

    @cached_property
    def pooled_client(self) -> Any:
        """The client that every short command of this channel shares; its pool belongs to the channel."""
        return self._create_client()  # type: ignore[no-untyped-call]

    @cached_property
    def bookkeeping(self) -> UnansweredWriter:
        """Where the unacknowledged records are written."""
        return UnansweredWriter(self.pool)

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """Yield `client`, or the channel's kept one."""
        yield client if client else self.pooled_client

    def _after_fork(self) -> None:
        """In a child: forget the connections. Reading here would take the answers that the parent waits for, and its
        next acknowledgement would time out (a prefork worker then consumed nothing more).
        """
        writer = self.__dict__.pop("bookkeeping", None)
        if writer is not None:
            writer.close()
        super()._after_fork()  # type: ignore[no-untyped-call]

    def _disconnect_pools(self) -> None:
        writer = self.__dict__.pop("bookkeeping", None)
        if writer is not None:
            with suppress(redis.RedisError, OSError):  # closing: a lost connection has nothing left to answer
                writer.flush()
            writer.close()
        self.__dict__.pop("pooled_client", None)
        super()._disconnect_pools()  # type: ignore[no-untyped-call]


class Transport(kombu_redis.Transport):
    """The Redis transport over `Channel`."""

    Channel = Channel
