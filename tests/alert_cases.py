"""Data on which each alert must fire, and a calm service on which none may. In promtool's notation of series."""

from __future__ import annotations

from dataclasses import dataclass, field

PREDICT = 'endpoint="/predict"'
ALWAYS = "xN"
"""As many samples as the case needs: `Case.values` fills the number in."""


@dataclass(frozen=True)
class Case:
    """What differs from the calm service, and when the alert must fire. `step_s`: between samples and evaluations.

    `gone`: calm series that are missing.
    """

    series: dict[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    after_s: int = 720
    step_s: int = 5

    def values(self, name: str, notation: str) -> dict[str, str]:
        """One input series in promtool's form."""
        return {"series": name, "values": notation.replace(ALWAYS, f"x{self.after_s // self.step_s + 2}")}


def requests(status: str) -> str:
    return f'tollgate_requests_total{{{PREDICT},status="{status}"}}'


IN_TIME = f'tollgate_request_latency_seconds_bucket{{{PREDICT},le="0.1"}}'
ANSWERED = f"tollgate_request_latency_seconds_count{{{PREDICT}}}"
DECIDED = 'tollgate_decisions_total{action="approve"}'

ONE, ZERO = f"1{ALWAYS}", f"0{ALWAYS}"
CALM: dict[str, str] = {
    'up{job="tollgate"}': ONE,
    'up{job="celery"}': ONE,
    requests("200"): f"0+500{ALWAYS}",
    requests("503"): ZERO,
    IN_TIME: f"0+499{ALWAYS}",
    ANSWERED: f"0+500{ALWAYS}",
    DECIDED: f"0+500{ALWAYS}",
    "tollgate_broker_up": ONE,
    "tollgate_shared_state_up": ONE,
    "tollgate_ledger_up": ONE,
    "tollgate_ready": ONE,
    'tollgate_workers{role="scoring",model_version="m1"}': f"2{ALWAYS}",
    "tollgate_canary_latency_seconds": f"0.004{ALWAYS}",
    'tollgate_queue_oldest_age_seconds{queue="score"}': f"0.01{ALWAYS}",
    'tollgate_queue_oldest_age_seconds{queue="background"}': f"0.5{ALWAYS}",
    'tollgate_queue_oldest_age_seconds{queue="bulk"}': f"5{ALWAYS}",
    "tollgate_dead_letters": ZERO,
    "tollgate_inbox_overdue_seconds": f"3{ALWAYS}",
    'tollgate_journal_lag_seconds{journal="payments"}': f"1{ALWAYS}",
    "tollgate_journal_refused": ZERO,
    'tollgate_redeliveries_total{queue="score",cause="unacknowledged"}': ZERO,
    'tollgate_clock_skew_seconds{worker="web"}': f"-0.002{ALWAYS}",
    "tollgate_broker_memory_bytes": f"1e9{ALWAYS}",
    "tollgate_broker_memory_limit_bytes": f"8e9{ALWAYS}",
    "tollgate_disk_free_bytes": f"5e10{ALWAYS}",
    "tollgate_disk_size_bytes": f"1e11{ALWAYS}",
    "tollgate_workers_mismatched": ZERO,
    'tollgate_model_workers{status="refused"}': ZERO,
    'tollgate_quality_below_promise{measure="recall"}': ZERO,
    "tollgate_drift_strong": ZERO,
    "tollgate_label_last_received_timestamp_seconds": f"0+600{ALWAYS}",
}

ONE_IN_TEN_FAILS = {requests("200"): f"0+450{ALWAYS}", requests("503"): f"0+50{ALWAYS}"}
ONE_IN_A_HUNDRED_FAILS = {requests("200"): f"0+495{ALWAYS}", requests("503"): f"0+5{ALWAYS}"}

CASES: dict[str, Case] = {
    "TollgateDown": Case(gone=('up{job="tollgate"}',), after_s=60),
    "TollgateAvailabilityBurnFast": Case(ONE_IN_TEN_FAILS, after_s=360, step_s=30),
    "TollgateAvailabilityBurnSlow": Case(ONE_IN_A_HUNDRED_FAILS, after_s=2100, step_s=30),
    "TollgateLatencyBurnFast": Case({IN_TIME: f"0+400{ALWAYS}"}, after_s=360, step_s=30),
    "TollgateLatencyBurnSlow": Case({IN_TIME: f"0+460{ALWAYS}"}, after_s=2100, step_s=30),
    "TollgateBrokerDown": Case({"tollgate_broker_up": ZERO}, after_s=60),
    "TollgateNoWorkers": Case({'tollgate_workers{role="scoring",model_version="m1"}': ZERO}, after_s=60),
    "TollgateNotReady": Case({"tollgate_ready": ZERO}, after_s=60),
    "TollgateCanarySlow": Case({"tollgate_canary_latency_seconds": f"0.6{ALWAYS}"}, after_s=60),
    "TollgateScoreQueueOld": Case({'tollgate_queue_oldest_age_seconds{queue="score"}': f"0+5{ALWAYS}"}, after_s=60),
    "TollgateAcceptedQueueOld": Case(
        {'tollgate_queue_oldest_age_seconds{queue="accepted"}': f"0+5{ALWAYS}"}, after_s=600
    ),
    "TollgateBackgroundQueueOld": Case(
        {'tollgate_queue_oldest_age_seconds{queue="background"}': f"0+5{ALWAYS}"}, after_s=240
    ),
    "TollgateBulkStalled": Case({'tollgate_queue_oldest_age_seconds{queue="bulk"}': f"0+5{ALWAYS}"}, after_s=300),
    "TollgateDeadLetters": Case({"tollgate_dead_letters": f"0 0 1{ALWAYS}"}, after_s=60),
    "TollgateInboxOverdue": Case({"tollgate_inbox_overdue_seconds": f"0+5{ALWAYS}"}, after_s=180),
    "TollgateJournalLag": Case({'tollgate_journal_lag_seconds{journal="payments"}': f"0+5{ALWAYS}"}, after_s=180),
    "TollgateJournalRefused": Case({"tollgate_journal_refused": f"2{ALWAYS}"}, after_s=60),
    "TollgateLedgerDown": Case({"tollgate_ledger_up": ZERO}, after_s=60),
    "TollgateRedeliveries": Case(
        {'tollgate_redeliveries_total{queue="score",cause="unacknowledged"}': f"0+1{ALWAYS}"}, after_s=300
    ),
    "TollgateClockSkew": Case({'tollgate_clock_skew_seconds{worker="web"}': f"-3{ALWAYS}"}, after_s=120),
    "TollgateBrokerMemory": Case({"tollgate_broker_memory_bytes": f"7.5e9{ALWAYS}"}, after_s=120),
    "TollgateDiskFull": Case({"tollgate_disk_free_bytes": f"1e9{ALWAYS}"}, after_s=120),
    "TollgateExporterDown": Case({'up{job="celery"}': ZERO}, after_s=120),
    "TollgateModelVersionMismatch": Case({"tollgate_workers_mismatched": ONE}, after_s=60),
    "TollgateReloadRefused": Case({'tollgate_model_workers{status="refused"}': ONE}, after_s=60),
    "TollgateQualityBelowPromise": Case(
        {'tollgate_quality_below_promise{measure="recall"}': ONE}, after_s=900, step_s=30
    ),
    "TollgateDrift": Case({"tollgate_drift_strong": ONE}, after_s=120),
    "TollgateLabelsStopped": Case(
        {"tollgate_label_last_received_timestamp_seconds": f"60{ALWAYS}"}, after_s=180000, step_s=1200
    ),
}
