"""The dashboard Queues and workers: what waits, for whom, and who should take it. Queue depth first."""

from __future__ import annotations

from typing import Final

from deploy.grafana.panel import Dashboard, Panel, Query, Row, Step, stat
from deploy.grafana.parts import (
    ALERTS_FIRING,
    DOWN_OR_UP,
    MISMATCHED,
    MODEL_VERSION,
    NO_EXPORTER,
    NOTHING_DECIDED,
    QUEUE,
    SCORING_WORKERS,
    VERSIONS,
    WORKER,
    WORKER_STAGES,
)
from deploy.grafana.promql import buckets, grown, mean, newest, quantile, rate

_NOW: Final = Row(
    "Now",
    (
        stat(
            "Payments waiting",
            "How many messages wait for a scoring worker? One holds up to a batch of payments.",
            newest("tollgate_queue_depth", where='queue="score"'),
            steps=(Step(20, "orange"), Step(100, "red")),
            alerts=("TollgateScoreQueueOld",),
        ),
        stat(
            "Oldest payment",
            "How long has the oldest of them waited?",
            'max(tollgate:queue_oldest_age_seconds:max{queue="score"})',
            unit="s",
            steps=(Step(0.5, "orange"), Step(2, "red")),
            alerts=("TollgateScoreQueueOld",),
        ),
        SCORING_WORKERS,
        MISMATCHED,
        stat(
            "Accepted, unfinished",
            "How much accepted work is not done: async payments, labels, batches?",
            newest("tollgate_inbox_entries"),
            steps=(Step(100_000, "orange"), Step(190_000, "red")),
            alerts=("TollgateInboxOverdue",),
        ),
        stat(
            "Ledger behind",
            "How late do decisions reach the ledger?",
            newest("tollgate_journal_lag_seconds"),
            unit="s",
            steps=(Step(10, "orange"), Step(60, "red")),
            alerts=("TollgateJournalLag",),
        ),
        stat(
            "Dead letters",
            "What was given up, and waits for you?",
            newest("tollgate_dead_letters"),
            steps=(Step(1, "red"),),
            alerts=("TollgateDeadLetters",),
        ),
        ALERTS_FIRING,
    ),
)
_TOO_OLD: Final = (
    "TollgateScoreQueueOld",
    "TollgateAcceptedQueueOld",
    "TollgateBackgroundQueueOld",
    "TollgateBulkStalled",
)
_QUEUES: Final = Row(
    "Queues",
    (
        Panel(
            "Queue depth",
            "What waits in each queue? A depth that grows and does not fall: more comes than is done.",
            (Query(newest("tollgate_queue_depth", "queue", where='queue=~"$queue"'), "{{queue}}"),),
            width=12,
            alerts=_TOO_OLD,
        ),
        Panel(
            "Oldest message",
            "How long has the message waited that is next? Red line: payments feel it (2 s).",
            (Query('tollgate:queue_oldest_age_seconds:max{queue=~"$queue"}', "{{queue}}"),),
            unit="s",
            width=12,
            steps=(Step(2, "red"),),
            alerts=_TOO_OLD,
        ),
    ),
)
_BATCHES: Final = Row(
    "Batches and stages",
    (
        Panel(
            "Payments per batch",
            "How many payments travel together? More under load; 1 means that nobody waits.",
            (
                Query("tollgate:batch_rows:mean_1m", "sent, mean"),
                Query(quantile(0.99, "tollgate_batch_rows"), "sent, p99"),
                Query(mean("tollgate_worker_batch_rows"), "received, mean"),
            ),
            empty=NOTHING_DECIDED,
        ),
        Panel(
            "Batch sizes",
            "Which sizes are usual? Colour: batches between two points.",
            (Query(buckets("tollgate_worker_batch_rows"), "{{le}}"),),
            kind="heatmap",
        ),
        Panel(
            "In the coalescer",
            "Do payments wait in the web process for a batch? At TOLLGATE_QUEUE_CAPACITY it refuses.",
            (
                Query(newest("tollgate_coalescer_waiting"), "waiting"),
                Query(newest("tollgate_batches_in_flight"), "batches in flight"),
            ),
            alerts=("TollgateAvailabilityBurnFast",),
        ),
        *WORKER_STAGES,
    ),
)
_WORKERS: Final = Row(
    "Workers",
    (
        VERSIONS,
        Panel(
            "Workers",
            "Who reports, by role? A step down: one died, or hangs.",
            (Query("sum by (role) (max by (role, model_version) (tollgate_workers))", "{{role}}"),),
            width=6,
            alerts=("TollgateNoWorkers",),
        ),
        Panel(
            "Rows received",
            "What became of the rows? `duplicate`: given out twice, decided once. `failed`: look into the logs.",
            (Query(rate("tollgate_rows_total", "outcome"), "{{outcome}}"),),
            unit="rowsps",
            width=6,
        ),
        Panel(
            "Bulk workers at rest",
            "Do batches give way to single payments (TOLLGATE_BULK_REST)? 1: one worker rests all the time.",
            (Query(rate("tollgate_bulk_rest_seconds_total"), "resting"),),
            width=6,
        ),
        Panel(
            "Champion taken",
            "Did the workers take the champion? `refused`: its bundle is damaged.",
            (Query(newest("tollgate_model_workers", "status"), "{{status}}"),),
            colours=(("serving", "green"), ("refused", "red"), ("waiting", "orange")),
            width=6,
            alerts=("TollgateReloadRefused",),
        ),
        Panel(
            "Clock skew",
            "Does a machine's clock differ from the broker's?",
            (Query(newest("tollgate_clock_skew_seconds", "worker", where='worker=~"web|$worker"'), "{{worker}}"),),
            unit="s",
            steps=(Step(0.5, "red"),),
            width=6,
            alerts=("TollgateClockSkew",),
        ),
        Panel(
            "Given out again",
            "Do messages come back? `unacknowledged`: their worker died. `overdue`: the message was lost.",
            (Query(grown("tollgate_redeliveries_total", "queue", "cause"), "{{queue}}, {{cause}}"),),
            width=6,
            alerts=("TollgateRedeliveries",),
        ),
    ),
)
_ACCEPTED: Final = Row(
    "Accepted and stored",
    (
        Panel(
            "Inbox",
            "Does accepted work pile up?",
            (Query(newest("tollgate_inbox_entries"), "entries"),),
            alerts=("TollgateInboxOverdue",),
        ),
        Panel(
            "Reaper late",
            "Does the reaper look at what is overdue?",
            (Query(newest("tollgate_inbox_overdue_seconds"), "late by"),),
            unit="s",
            steps=(Step(60, "red"),),
            alerts=("TollgateInboxOverdue",),
        ),
        Panel(
            "Dead letters",
            "What was given up, and what did the ledger's database refuse for good?",
            (
                Query(newest("tollgate_dead_letters"), "dead letters"),
                Query(newest("tollgate_journal_refused"), "refused by the ledger"),
            ),
            steps=(Step(1, "red"),),
            alerts=("TollgateDeadLetters", "TollgateJournalRefused"),
        ),
        Panel(
            "Journal",
            "Do decisions pile up before the ledger?",
            (
                Query(newest("tollgate_journal_entries"), "decisions"),
                Query(newest("tollgate_journal_bulk_entries"), "batches, 64 decisions each"),
            ),
            alerts=("TollgateJournalLag",),
        ),
        Panel(
            "Journal lag",
            "How old is the oldest of them?",
            (Query(newest("tollgate_journal_lag_seconds", "journal"), "{{journal}}"),),
            unit="s",
            steps=(Step(60, "red"),),
            alerts=("TollgateJournalLag", "TollgateLedgerDown"),
        ),
        Panel(
            "Upkeep",
            "Does housekeeping run? What did it remove; what was decided twice, long after?",
            (
                Query(grown("tollgate_housekeeping_total", "kind"), "{{kind}}"),
                Query(grown("tollgate_late_duplicates_total"), "late duplicates"),
            ),
            alerts=("TollgateBackgroundQueueOld",),
        ),
    ),
)
_BELOW: Final = Row(
    "Broker, disk, Celery",
    (
        Panel(
            "Broker's memory",
            "How full is it? Full, it refuses every write.",
            (Query("max(tollgate_broker_memory_bytes / (tollgate_broker_memory_limit_bytes > 0))", "used"),),
            unit="percentunit",
            steps=(Step(0.8, "red"),),
            alerts=("TollgateBrokerMemory",),
        ),
        Panel(
            "Disk used",
            "How full is the disk of the data directory?",
            (Query("1 - min(tollgate_disk_free_bytes / (tollgate_disk_size_bytes > 0))", "used"),),
            unit="percentunit",
            steps=(Step(0.9, "red"),),
            alerts=("TollgateDiskFull",),
        ),
        Panel(
            "Celery's workers",
            "Which workers does Celery itself hear? Only the exporter knows; scoring does not need it.",
            (Query("max by (hostname) (celery_worker_up)", "{{hostname}}"),),
            kind="state-timeline",
            words=DOWN_OR_UP,
            empty=NO_EXPORTER,
            alerts=("TollgateExporterDown",),
        ),
    ),
)

QUEUES: Final = Dashboard(
    "tollgate-queues",
    "Tollgate: Queues and workers",
    "What waits, for how long, and is there somebody to take it?",
    (_NOW, _QUEUES, _BATCHES, _WORKERS, _ACCEPTED, _BELOW),
    (QUEUE, WORKER, MODEL_VERSION),
)
