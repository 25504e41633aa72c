"""What the workers' heartbeats and the champion pointer say: who serves which model, and whether that is right."""

from __future__ import annotations

from typing import Final

from config.metrics.metric import Label
from config.metrics.shared import gauge

ROLES: Final = ("scoring", "bulk", "background", "training")
STATUSES: Final = ("serving", "refused", "waiting")
OTHER: Final = "other"
VERSIONS_MOST: Final = 20
WORKERS_MOST: Final = 200

_VERSION: Final = Label("model_version", most=VERSIONS_MOST + 2, words="`none`, the most served 20, `other`")
_WORKER: Final = Label("worker", most=WORKERS_MOST, words="workers that report, at most 200, by name; else `none`")

READY: Final = gauge("ready", "1 when a warmed scoring worker answered a canary recently.")
CANARY_AGE: Final = gauge("canary_age_seconds", "Since the last canary that was answered.", unit="seconds")
WORKERS: Final = gauge("workers", "Workers that report, by role and model version.", Label("role", ROLES), _VERSION)
MODEL_WORKERS: Final = gauge(
    "model_workers",
    "Workers with a model, by what they did with the champion they were told to load.",
    Label("status", STATUSES),
)
MISMATCHED: Final = gauge("workers_mismatched", "Workers that serve another model than the champion.")
MODEL_VERSION: Final = gauge(
    "model_version_info",
    "1 for the model version and digest that a worker serves.",
    _WORKER,
    Label("role", most=1, words="the worker's"),
    Label("model_version", most=1, words="the worker's, or `none`"),
    Label("digest", most=1, words="the first 12 characters"),
)
CHAMPION: Final = gauge(
    "champion_info", "1 for the champion's model version.", Label("model_version", most=1, words="or `none`")
)
CLOCK_SKEW: Final = gauge(
    "clock_skew_seconds",
    "How far the broker's clock is ahead of a worker's (or of the web process that answered this scrape: `web`).",
    Label("worker", most=WORKERS_MOST + 1, words="workers that report, at most 200, and `web`"),
    unit="seconds",
)

METRICS: Final = (
    READY,
    CANARY_AGE,
    WORKERS,
    MODEL_WORKERS,
    MISMATCHED,
    MODEL_VERSION,
    CHAMPION,
    CLOCK_SKEW,
)
