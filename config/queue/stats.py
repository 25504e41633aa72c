"""What the shared state knows about the queues: depths, ages, lengths. Read by web and by the command line."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import redis

from config import names
from config.contracts import ChallengerPointer, ChampionPointer, WorkerReport
from config.queue.stamps import read_stamp

HEARTBEATS_MISSED = 5
REPORT_KEPT_S = 60
"""How long a worker that fell silent is still asked for its answer to a reload. One that ends in order signs off."""


class WorkerBeat(NamedTuple):
    """A worker that reported within the last hour. `report`: what it said, None when it is silent since."""

    worker: str
    age_s: float
    report: WorkerReport | None


def queue_stats(client: redis.Redis) -> dict[str, float]:
    """One pipelined look at every queue. Ages in seconds, on the server's clock. Raises RedisError.

    `queue_oldest_age_s_<queue>`: since the message that is consumed next was pushed; 0 in an empty queue.
    """
    pipe = client.pipeline(transaction=False)
    pipe.time()
    for queue in names.QUEUES:
        pipe.lindex(queue, -1)
    for queue in names.QUEUES:
        pipe.llen(queue)
    pipe.xlen(names.JOURNAL)
    pipe.xlen(names.JOURNAL_BULK)
    pipe.xlen(names.JOURNAL_REFUSED)
    pipe.zcard(names.INBOX_DUE)
    pipe.zcard(names.DEAD_LETTERS)
    (now_s, now_us), *seen, journal, bulk, refused, inbox, dead = pipe.execute()
    oldest, depths = seen[: len(names.QUEUES)], seen[len(names.QUEUES) :]
    stats = {f"queue_depth_{queue}": float(depth) for queue, depth in zip(names.QUEUES, depths, strict=True)}
    ages = {
        f"queue_oldest_age_s_{queue}": _age_s(message, now_s + now_us / 1e6)
        for queue, message in zip(names.QUEUES, oldest, strict=True)
    }
    return stats | {
        **ages,
        "journal_length": float(journal),
        "journal_bulk_entries": float(bulk),
        "journal_refused": float(refused),
        "inbox_entries": float(inbox),
        "dead_letters": float(dead),
    }


def _age_s(message: bytes | None, now_s: float) -> float:
    stamp_ms = read_stamp(message)
    return round(max(0.0, now_s - stamp_ms / 1000), 3) if stamp_ms else 0.0


def broker_stats(client: redis.Redis) -> dict[str, float]:
    """How far journals and inbox are behind, in seconds on the server's clock, and its memory. Raises RedisError.

    Memory without a limit of its own may grow to what the machine has.
    """
    pipe = client.pipeline(transaction=False)
    pipe.time()
    pipe.xrange(names.JOURNAL, count=1)
    pipe.xrange(names.JOURNAL_BULK, count=1)
    pipe.zrange(names.INBOX_DUE, 0, 0, withscores=True)
    pipe.info("memory")
    (now_s, now_us), journal, bulk, due, memory = pipe.execute()
    now = now_s + now_us / 1e6
    return {
        "journal_lag_s": entry_age_s(journal, now),
        "journal_bulk_lag_s": entry_age_s(bulk, now),
        "inbox_overdue_s": round(max(0.0, now - due[0][1]), 3) if due else 0.0,
        "broker_memory_bytes": float(memory["used_memory"]),
        "broker_memory_limit_bytes": float(memory["maxmemory"] or memory["total_system_memory"]),
    }


def entry_age_s(first: list[tuple[bytes, Any]], now_s: float) -> float:
    """The age of a stream's first entry: its id begins with Unix ms on the server's clock."""
    return round(max(0.0, now_s - int(first[0][0].partition(b"-")[0]) / 1000), 3) if first else 0.0


def drift_stats(client: redis.Redis) -> dict[str, float]:
    """The numbers of the last drift check; empty before the first. Raises RedisError."""
    stored: Any = client.hgetall(names.DRIFT)
    return {name.decode(): float(value) for name, value in stored.items()}


def read_champion(client: redis.Redis) -> ChampionPointer | None:
    """The champion pointer, or None while nothing is promoted. Raises RedisError."""
    stored = client.get(names.CHAMPION)
    return msgspec.json.decode(stored, type=ChampionPointer) if stored else None


def read_challenger(client: redis.Redis) -> ChallengerPointer | None:
    """The challenger pointer, or None while no model is compared with the champion. Raises RedisError."""
    stored = client.get(names.CHALLENGER)
    return msgspec.json.decode(stored, type=ChallengerPointer) if stored else None


def read_guard(client: redis.Redis) -> dict[str, Any] | None:
    """What the guard found last, or None while nothing is compared. Raises RedisError."""
    stored = client.get(names.GUARD)
    return msgspec.json.decode(stored, type=dict[str, Any]) if stored else None


def worker_reports(client: redis.Redis, heartbeat_s: float) -> list[WorkerReport]:
    """The workers whose heartbeat is no older than five intervals, by name. Raises RedisError."""
    return _reports_within(client, HEARTBEATS_MISSED * heartbeat_s)


def expected_workers(client: redis.Redis) -> list[WorkerReport]:
    """The last report of every worker that may still be there, by name: those that fell silent within the last minute
    too, whatever stopped them. Raises RedisError.
    """
    return _reports_within(client, REPORT_KEPT_S)


def _reports_within(client: redis.Redis, age_s: float) -> list[WorkerReport]:
    now_s, members = _beats(client)
    recent = [member for member, beat_s in members if beat_s >= now_s - age_s]
    if not recent:
        return []
    stored = client.mget([names.worker_key(member.decode()) for member in recent])
    reports = [msgspec.json.decode(item, type=WorkerReport) for item in stored if item]
    return sorted(reports, key=lambda report: report.worker)


def worker_beats(client: redis.Redis, heartbeat_s: float) -> list[WorkerBeat]:
    """Every worker of the last hour, the silent ones too, by name. Raises RedisError."""
    now_s, members = _beats(client)
    if not members:
        return []
    stored = client.mget([names.worker_key(member.decode()) for member, _ in members])
    longest_s = HEARTBEATS_MISSED * heartbeat_s
    beats = [
        _beat(member.decode(), max(0.0, now_s - beat_s), report, longest_s)
        for (member, beat_s), report in zip(members, stored, strict=True)
    ]
    return sorted(beats)


def _beats(client: redis.Redis) -> tuple[float, list[tuple[bytes, float]]]:
    """Now, and when each worker of the last hour reported, both on the broker's clock (Unix seconds)."""
    pipe = client.pipeline(transaction=False)
    pipe.time()
    pipe.zrange(names.WORKERS, 0, -1, withscores=True)
    (now_s, now_us), members = pipe.execute()
    return now_s + now_us / 1e6, members


def _beat(worker: str, age_s: float, stored: bytes | str | None, longest_s: float) -> WorkerBeat:
    if stored is None or age_s > longest_s:
        return WorkerBeat(worker, round(age_s, 1), None)
    return WorkerBeat(worker, round(age_s, 1), msgspec.json.decode(stored, type=WorkerReport))
