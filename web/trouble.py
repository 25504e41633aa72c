"""What is wrong now, in words, the worst first: the first thing that /metrics and the console say.

Each has the name of the alert that fires for it, whose section in docs/RUNBOOK.md says what to look at and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from web.fleet_metrics import mismatched, refused
from web.ports.gateway import Health
from web.shapes.health import Trouble


class Limit(NamedTuple):
    """A figure of `ScoringGateway.queue_stats` that must not be above `most`; `what` is said with its value."""

    key: str
    most: float
    alert: str
    what: str


LIMITS: Final = (
    Limit("queue_oldest_age_s_score", 2, "TollgateScoreQueueOld", "The oldest payment has waited {:.0f} s."),
    Limit("journal_lag_s", 60, "TollgateJournalLag", "Decisions reach the ledger {:.0f} s late."),
    Limit("journal_bulk_lag_s", 60, "TollgateJournalLag", "Decisions of batches reach the ledger {:.0f} s late."),
    Limit("inbox_overdue_s", 60, "TollgateInboxOverdue", "Overdue accepted work was not looked at for {:.0f} s."),
    Limit(
        "queue_oldest_age_s_accepted", 300, "TollgateAcceptedQueueOld", "A payment answered 202 has waited {:.0f} s."
    ),
    Limit(
        "queue_oldest_age_s_ticks",
        60,
        "TollgateBackgroundQueueOld",
        "Journal and housekeeping have waited {:.0f} s for a background worker.",
    ),
    Limit(
        "queue_oldest_age_s_background",
        60,
        "TollgateBackgroundQueueOld",
        "Labels have waited {:.0f} s for a background worker.",
    ),
    Limit("queue_oldest_age_s_bulk", 120, "TollgateBulkStalled", "The next chunk of a batch has waited {:.0f} s."),
    Limit("canary_latency_s", 0.25, "TollgateCanarySlow", "A payment of our own takes {:.2f} s there and back."),
    Limit("dead_letters", 0, "TollgateDeadLetters", "{:.0f} pieces of accepted work were given up, and wait for you."),
    Limit("journal_refused", 0, "TollgateJournalRefused", "The ledger's database refused {:.0f} entries for good."),
)
WARNINGS: Final = frozenset(
    {
        "TollgateJournalLag", "TollgateInboxOverdue", "TollgateAcceptedQueueOld", "TollgateBackgroundQueueOld",
        "TollgateBulkStalled", "TollgateCanarySlow", "TollgateDeadLetters", "TollgateJournalRefused",
        "TollgateClockSkew",
    }
)  # fmt: skip
"""What can wait for the morning."""
BROKER_FULL: Final = 0.8
MOST_SKEW_S: Final = 0.5


def troubles(health: Health, queues: Mapping[str, float], *, is_ledger_up: bool) -> list[Trouble]:
    """What is wrong, the worst first; [] when all is well. `queues`: empty while the broker is down."""
    found = [*_about_scoring(health)]
    if not is_ledger_up:
        found.append(_trouble("The ledger cannot be read; decisions wait in the journal.", "TollgateLedgerDown"))
    return [*found, *_about_models(health), *_about_queues(queues, is_ready=health.is_ready), *_about_clocks(health)]


def _trouble(what: str, alert: str) -> Trouble:
    return Trouble(what, alert, "warning" if alert in WARNINGS else "critical")


def _about_scoring(health: Health) -> Iterator[Trouble]:
    if not health.is_broker_up:
        yield _trouble("The broker does not answer: every payment is refused.", "TollgateBrokerDown")
    elif health.champion is None:
        yield _trouble("No model is promoted: tollgate train makes one.", "TollgateNoWorkers")
    elif not any(one.role == "scoring" for one in health.workers):
        yield _trouble("No scoring worker reports: payments wait, and are answered with 202.", "TollgateNoWorkers")
    elif not health.is_ready:
        yield _trouble("Scoring workers report, but none answers: they hang, or are behind.", "TollgateNotReady")


def _about_models(health: Health) -> Iterator[Trouble]:
    if count := refused(health.workers):
        yield _trouble(f"{count} workers refused the champion's bundle.", "TollgateReloadRefused")
    if count := mismatched(health):
        yield _trouble(f"{count} workers serve another model than the champion.", "TollgateModelVersionMismatch")


def _about_clocks(health: Health) -> Iterator[Trouble]:
    for one in health.workers:
        if abs(one.clock_skew_ms) > MOST_SKEW_S * 1000:
            way = "behind" if one.clock_skew_ms > 0 else "ahead"
            off_s = abs(one.clock_skew_ms) / 1000
            yield _trouble(f"The clock of {one.worker} is {off_s:.1f} s {way}.", "TollgateClockSkew")


def _about_queues(queues: Mapping[str, float], *, is_ready: bool) -> Iterator[Trouble]:
    """`is_ready`: False while no canary is answered: how long the last one took says nothing then."""
    limit, used = queues.get("broker_memory_limit_bytes", 0.0), queues.get("broker_memory_bytes", 0.0)
    if used > BROKER_FULL * limit:
        yield _trouble(f"The broker's memory is {used / limit:.0%} full; then it refuses.", "TollgateBrokerMemory")
    for one in LIMITS:
        if (value := queues.get(one.key, 0.0)) > one.most and (is_ready or one.alert != "TollgateCanarySlow"):
            yield _trouble(one.what.format(value), one.alert)
