"""Alerts on what is accepted and stored: inbox, dead letters, journal, ledger, memory, disk, clocks, processes."""

from __future__ import annotations

from typing import Final

from deploy.prometheus.rule import Alert

STATE_ALERTS: Final = (
    Alert(
        "TollgateDeadLetters",
        lambda _: "max(tollgate_dead_letters) > 0",
        0,
        "warning",
        "{{ $value }} accepted transactions, labels or chunks were given up after all their attempts.",
    ),
    Alert(
        "TollgateInboxOverdue",
        lambda times: f"max(tollgate_inbox_overdue_seconds) > {times.limit(60)}",
        30,
        "warning",
        "Nobody has looked at overdue accepted work for {{ $value | humanizeDuration }}: the reaper does not run.",
    ),
    Alert(
        "TollgateJournalLag",
        lambda times: f"max by (journal) (tollgate_journal_lag_seconds) > {times.limit(60)}",
        30,
        "warning",
        "Decisions reach the ledger {{ $value | humanizeDuration }} late ({{ $labels.journal }}).",
    ),
    Alert(
        "TollgateJournalRefused",
        lambda _: "max(tollgate_journal_refused) > 0",
        0,
        "warning",
        "The ledger's database refused {{ $value }} decisions or labels for good; they are kept aside.",
    ),
    Alert(
        "TollgateLedgerDown",
        lambda _: "max(tollgate_ledger_up) == 0",
        15,
        "critical",
        "The ledger cannot be read: decisions pile up in the journal, shrunk ones cannot be answered.",
    ),
    Alert(
        "TollgateRedeliveries",
        lambda times: f"sum by (queue) (increase(tollgate_redeliveries_total[{times(300)}])) > 10",
        0,
        "warning",
        "{{ $value | humanize }} messages of the queue {{ $labels.queue }} were given out again in 5 minutes.",
    ),
    Alert(
        "TollgateClockSkew",
        lambda _: "max by (worker) (abs(tollgate_clock_skew_seconds)) > 0.5",
        30,
        "warning",
        "The clock of {{ $labels.worker }} differs from the broker's by {{ $value | humanizeDuration }}.",
    ),
    Alert(
        "TollgateBrokerMemory",
        lambda _: "max(tollgate_broker_memory_bytes / (tollgate_broker_memory_limit_bytes > 0)) > 0.8",
        60,
        "critical",
        "The broker holds {{ $value | humanizePercentage }} of the memory it may have; full, it refuses writes.",
    ),
    Alert(
        "TollgateDiskFull",
        lambda _: "min(tollgate_disk_free_bytes / (tollgate_disk_size_bytes > 0)) < 0.1",
        60,
        "critical",
        "{{ $value | humanizePercentage }} of the data directory's disk is left.",
    ),
    Alert(
        "TollgateExporterDown",
        lambda _: 'up{job="celery"} == 0',
        60,
        "warning",
        "The celery-exporter does not answer; scoring does not need it.",
    ),
)
