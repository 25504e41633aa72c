"""The Celery application factory: one set of settings for every process that publishes or consumes.

`make_celery` is called by `workers.app` (which consumes) and by those who only need the message format
(`config.queue.messages`): web processes and the command line.
docs/adr/0009-celery-settings.md gives the reason for each setting.
"""

from __future__ import annotations

from typing import Any, Literal

from celery import Celery
from kombu.entity import Queue

from config import names
from config.settings import Settings

Role = Literal["scoring", "bulk", "background", "training", "web"]

TRANSPORT = "config.queue.transport:Transport"
LONG_VISIBILITY_S = 4 * 3600


def make_celery(settings: Settings, role: Role) -> Celery:
    """A configured application. Opens no connection."""
    app = Celery("tollgate", set_as_current=role != "web")
    app.conf.update(_shared(settings) | _transport(settings, role) | _schedule(settings))
    app.conf.task_routes = {
        names.TASK_SCORE_BATCH: {"queue": names.QUEUE_SCORE},
        names.TASK_SCORE_ACCEPTED: {"queue": names.QUEUE_ACCEPTED},
        names.TASK_OPEN_BATCH: {"queue": names.QUEUE_BULK},
        names.TASK_SCORE_CHUNK: {"queue": names.QUEUE_BULK},
        names.TASK_RETRAIN: {"queue": names.QUEUE_TRAIN},
        names.TASK_LEARN_LABELS: {"queue": names.QUEUE_TRAIN},
        names.TASK_PROMOTE_MODEL: {"queue": names.QUEUE_TRAIN},
        names.TASK_MARK_CHAMPION: {"queue": names.QUEUE_TRAIN},
        names.TASK_DRAIN_JOURNAL: {"queue": names.QUEUE_TICKS},
        names.TASK_REAP_INBOX: {"queue": names.QUEUE_TICKS},
        names.TASK_KEEP_HOUSE: {"queue": names.QUEUE_TICKS},
        names.TASK_WATCH_CHALLENGER: {"queue": names.QUEUE_TICKS},
    }
    return app


def _shared(settings: Settings) -> dict[str, Any]:
    return {
        "broker_url": settings.redis_url,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_pool_limit": 4,
        "task_default_queue": names.QUEUE_BACKGROUND,
        "task_queues": [Queue(name) for name in names.QUEUES],
        "task_create_missing_queues": False,
        "task_serializer": "json",
        "accept_content": ["json"],
        "result_backend": None,
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": False,
        "task_send_sent_event": False,
        "task_track_started": False,
        "task_annotations": {
            names.TASK_RETRAIN: {
                "soft_time_limit": settings.training_limit_s,
                "time_limit": settings.training_limit_s + 60,
            }
        },
        "worker_prefetch_multiplier": 1,
        "worker_disable_rate_limits": True,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # A child that is not up by then is killed. Celery's own 4 s were too few at low priority on a busy machine: the
        # training worker forked and killed its children for half a minute before one lived.
        "worker_proc_alive_timeout": 60.0,
        "worker_enable_remote_control": True,
        "enable_utc": True,
        "timezone": "UTC",
    }


def _transport(settings: Settings, role: Role) -> dict[str, Any]:
    # Scoring is redelivered soon; what may run for minutes keeps its own unacknowledged set, since the shortest
    # visibility time-out of all workers that share one set wins (celery #5935).
    visibility_s = settings.visibility_timeout_s if role == "scoring" else LONG_VISIBILITY_S
    return {
        "broker_transport": TRANSPORT,
        "broker_transport_options": {
            "visibility_timeout": visibility_s,
            "unacked_key": f"tollgate:unacked:{role}",
            "unacked_index_key": f"tollgate:unacked-index:{role}",
            "unacked_mutex_key": f"tollgate:unacked-mutex:{role}",
            "unacked_mutex_expire": 10,
            "unacked_restore_interval": 2,
            "unacked_restore_throttle": 1,
            "priority_steps": [0],
            # Somebody waits for what is in `score`: the accepted rows come after it. Of a background worker's queues
            # neither may keep the other out for long, so it takes from them by turns (ADR 0042).
            "queue_order_strategy": "priority" if role == "scoring" else "round_robin",
            "socket_timeout": 5.0,
            "socket_connect_timeout": 2.0,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "retry_on_timeout": False,
        },
    }


def _schedule(settings: Settings) -> dict[str, Any]:
    return {
        "beat_scheduler": "redbeat.RedBeatScheduler",
        "beat_max_loop_interval": 5,
        "redbeat_redis_url": settings.redis_url,
        "redbeat_key_prefix": "tollgate:beat:",
        "redbeat_lock_timeout": 30,
        "beat_schedule": {
            **_every(settings.drift_interval_s, "check-drift", names.TASK_CHECK_DRIFT),
            **_every(1, "drain-journal", names.TASK_DRAIN_JOURNAL),
            **_every(5, "reap-inbox", names.TASK_REAP_INBOX),
            **_every(settings.quality_roll_up_s, "roll-up-quality", names.TASK_ROLL_UP_QUALITY),
            **_every(60, "keep-house", names.TASK_KEEP_HOUSE),
            **_every(settings.guard_interval_s, "watch-challenger", names.TASK_WATCH_CHALLENGER),
            **_every(settings.retrain_interval_s, "retrain", names.TASK_RETRAIN),
            **_every(settings.incremental_interval_s, "learn-labels", names.TASK_LEARN_LABELS),
        },
    }


def _every(interval_s: int, entry: str, task: str) -> dict[str, Any]:
    """A beat entry; none when it is switched off (0).

    It never expires: Celery would write that as a time on beat's clock and hold it against the worker's. A tick that is
    out of date is left out by its task (`workers.ticks`).
    """
    return {entry: {"task": task, "schedule": float(interval_s)}} if interval_s else {}
