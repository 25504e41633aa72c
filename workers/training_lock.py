"""Never two trainings at once, on however many machines: a lock in Redis that ends with its holder."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis
from redis.exceptions import LockError
from redis.lock import Lock

from config import names
from config.errors import TrainingRunning

LIFETIME_S = 60.0


@contextmanager
def training_lock(
    client: redis.Redis, *, lifetime_s: float = LIFETIME_S, name: str = names.TRAINING_LOCK
) -> Iterator[None]:
    """Hold the lock `name`, renewed by a thread, so that it outlives a killed holder by `lifetime_s` at most.

    Raises:
        TrainingRunning: somebody else holds it.
        RedisError: the broker cannot be reached.
    """
    lock = client.lock(name, timeout=lifetime_s, blocking=False, thread_local=False)
    if not lock.acquire():
        raise TrainingRunning("a training is running; GET /retrain shows it")
    stop = threading.Event()
    renewal = threading.Thread(target=_renew, args=(lock, stop, lifetime_s / 3), daemon=True, name="training-lock")
    renewal.start()
    try:
        yield
    finally:
        stop.set()
        renewal.join()
        with suppress(LockError, redis.RedisError):
            lock.release()


def _renew(lock: Lock, stop: threading.Event, every_s: float) -> None:
    """A broker that is away for a while is asked again: the lock is lost only after a whole lifetime."""
    while not stop.wait(every_s):
        with suppress(redis.RedisError):
            lock.reacquire()
