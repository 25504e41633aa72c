"""What a container's probes ask about beat: `python -m deploy.docker.beat_health [--alive]`. Exit code 0 or 1.

A beat that ticks renews its lock on the schedule; one that hangs loses it after `redbeat_lock_timeout` (30 s). A second
beat waits for the lock of the first, and is as healthy. With `--alive`, a broker that is away is no reason to restart.
"""

from __future__ import annotations

import argparse
import sys

import redis

from config.celery_app import make_celery
from config.queue.connections import make_redis
from config.settings import load_settings
from deploy.docker.worker_health import BROKER_TIMEOUT_S


def is_ticking(*, when_unknown: bool) -> bool:
    """Whether a beat holds the lock on the schedule; `when_unknown` while the broker does not answer."""
    settings = load_settings()
    lock = f"{make_celery(settings, 'background').conf.redbeat_key_prefix}:lock"
    try:
        return bool(make_redis(settings, timeout_s=BROKER_TIMEOUT_S).exists(lock))
    except redis.RedisError:
        return when_unknown


def main(arguments: list[str]) -> int:
    """The exit code: 0 for yes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alive", action="store_true")
    return 0 if is_ticking(when_unknown=parser.parse_args(arguments).alive) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
