"""Alerts on models: who serves which, how good they are, whether payments changed, whether labels come."""

from __future__ import annotations

from typing import Final

from deploy.prometheus.rule import Alert

MODEL_ALERTS: Final = (
    Alert(
        "TollgateModelVersionMismatch",
        lambda _: "max(tollgate_workers_mismatched) > 0",
        30,
        "critical",
        "{{ $value }} workers serve another model than the champion.",
    ),
    Alert(
        "TollgateReloadRefused",
        lambda _: 'max(tollgate_model_workers{status="refused"}) > 0',
        0,
        "critical",
        "{{ $value }} workers refused the champion's bundle and go on with the one before.",
    ),
    Alert(
        "TollgateQualityBelowPromise",
        lambda _: "max by (measure) (tollgate_quality_below_promise) == 1",
        600,
        "warning",
        "Live {{ $labels.measure }} is below what the model promised in training.",
    ),
    Alert(
        "TollgateDrift",
        lambda _: "max(tollgate_drift_strong) == 1",
        60,
        "warning",
        "Payments differ from those that the model was trained on.",
    ),
    Alert(
        "TollgateLabelsStopped",
        lambda times: (
            f"time() - max(tollgate_label_last_received_timestamp_seconds > 0) > {times.limit(2 * 86_400)}"
            f" and on () sum(increase(tollgate_decisions_total[{times(3600)}])) > 0"
        ),
        600,
        "warning",
        "The last label came {{ $value | humanizeDuration }} ago, while payments are decided.",
    ),
)
