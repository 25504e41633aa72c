"""What only the shared state knows: queues, inbox, journal, dead letters, the broker itself. Read at each scrape.

`QUEUE_GAUGES` says which key of `ScoringGateway.queue_stats` fills which gauge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from config import names
from config.metrics.metric import Label, Metric, Source


@dataclass(frozen=True, slots=True)
class Filled:
    """A gauge and where its values are: label value (or "") -> key of the statistics."""

    metric: Metric
    keys: Mapping[str, str]


def gauge(
    name: str,
    help_text: str,
    *labels: Label,
    unit: str = "",
    sources: tuple[Source, ...] = ("shared state",),
) -> Metric:
    """A gauge that is read at each scrape."""
    return Metric(f"tollgate_{name}", "gauge", help_text, sources, labels, unit)


_QUEUE: Final = Label("queue", names.QUEUES)
_JOURNAL: Final = Label("journal", ("payments", "batches"))

QUEUE_GAUGES: Final = (
    Filled(
        gauge("queue_depth", "Messages waiting in a queue.", _QUEUE),
        {queue: f"queue_depth_{queue}" for queue in names.QUEUES},
    ),
    Filled(
        gauge(
            "queue_oldest_age_seconds",
            "Since the message that is consumed next was pushed, 0 for an empty queue.",
            _QUEUE,
            unit="seconds",
        ),
        {queue: f"queue_oldest_age_s_{queue}" for queue in names.QUEUES},
    ),
    Filled(gauge("inbox_entries", "Accepted work that is not finished."), {"": "inbox_entries"}),
    Filled(
        gauge(
            "inbox_overdue_seconds",
            "How long ago the reaper should have looked at an entry, 0 when it is in time.",
            unit="seconds",
        ),
        {"": "inbox_overdue_s"},
    ),
    Filled(gauge("dead_letters", "Accepted work given up after its attempts."), {"": "dead_letters"}),
    Filled(gauge("journal_entries", "Decisions on their way to the ledger."), {"": "journal_length"}),
    Filled(
        gauge("journal_bulk_entries", "Entries of up to 64 decisions of batches on their way to the ledger."),
        {"": "journal_bulk_entries"},
    ),
    Filled(
        gauge(
            "journal_lag_seconds",
            "Age of the oldest entry on its way to the ledger, 0 without one.",
            _JOURNAL,
            unit="seconds",
        ),
        {"payments": "journal_lag_s", "batches": "journal_bulk_lag_s"},
    ),
    Filled(gauge("journal_refused", "Entries that the ledger's database refused for good."), {"": "journal_refused"}),
    Filled(
        gauge(
            "coalescer_waiting",
            "Transactions waiting for a batch in the web process that answered this scrape.",
        ),
        {"": "coalescer_waiting"},
    ),
    Filled(
        gauge("batches_in_flight", "Batches sent and not answered, of the web process that answered this scrape."),
        {"": "batches_in_flight"},
    ),
    Filled(
        gauge("canary_latency_seconds", "Round trip of the last canary that was answered.", unit="seconds"),
        {"": "canary_latency_s"},
    ),
    Filled(
        gauge("broker_memory_bytes", "Memory that the broker's data takes.", unit="bytes"), {"": "broker_memory_bytes"}
    ),
    Filled(
        gauge(
            "broker_memory_limit_bytes",
            "What the broker's data may take: its limit, or the machine's memory where it has none.",
            unit="bytes",
        ),
        {"": "broker_memory_limit_bytes"},
    ),
)

SHARED_STATE_UP: Final = gauge(
    "shared_state_up", "1 when this scrape could read the shared state; 0: the gauges read from it are 0, not known."
)
BROKER_UP: Final = gauge("broker_up", "1 when the broker answers.")
DISK_FREE: Final = gauge("disk_free_bytes", "Free space where the data directory is.", unit="bytes", sources=("web",))
DISK_SIZE: Final = gauge("disk_size_bytes", "Size of the disk of the data directory.", unit="bytes", sources=("web",))
BUILD_INFO: Final = gauge(
    "build_info",
    "1 for the running version of Tollgate, of Python, and the digest of the schema.",
    Label("version", most=1, words="the package's version"),
    Label("python", most=1, words="the interpreter's version"),
    Label("schema_digest", most=1, words="the first 12 characters"),
    sources=("web",),
)

METRICS: Final = (
    *(filled.metric for filled in QUEUE_GAUGES),
    SHARED_STATE_UP,
    BROKER_UP,
    DISK_FREE,
    DISK_SIZE,
    BUILD_INFO,
)
