"""Rows of the dashboard Model quality: what drifts, who serves which model, and what a challenger does beside it."""

from __future__ import annotations

from typing import Final

from deploy.grafana.panel import Panel, Query, Row, Step
from deploy.grafana.parts import RELOADS, VERSIONS
from deploy.grafana.promql import grown, newest, quantile

NO_DRIFT: Final = "until the first drift check"
NO_CHALLENGER: Final = "while no challenger is served"
_STAGES: Final = "tollgate_worker_stage_latency_seconds"

DRIFT: Final = Row(
    "Drift",
    (
        Panel(
            "Columns that differ most",
            "Which columns changed since training? Above 0.25: much.",
            (Query(newest("tollgate_drift_feature_psi", "feature", where='feature!="none"'), "{{feature}}"),),
            kind="bargauge",
            steps=(Step(0.1, "orange"), Step(0.25, "red")),
            alerts=("TollgateDrift",),
            empty=NO_DRIFT,
        ),
        Panel(
            "Drift",
            "Since when? `quality`: more missing or unknown values: ask the sender first.",
            (
                Query(newest("tollgate_drift_features_drifting"), "columns drifting"),
                Query(newest("tollgate_drift_quality_features"), "columns with worse quality"),
                Query(newest("tollgate_drift_score_psi"), "PSI of the score"),
                Query(newest("tollgate_drift_strong"), "strong: asks for a challenger"),
            ),
            alerts=("TollgateDrift",),
        ),
        Panel(
            "Drift checks",
            "Are they made, and on enough decisions?",
            (
                Query("(time() - max(tollgate_drift_checked_at_seconds > 0)) / 3600", "hours since the last", NO_DRIFT),
                Query(newest("tollgate_drift_rows"), "decisions compared"),
            ),
            alerts=("TollgateBackgroundQueueOld",),
        ),
    ),
)
MODELS: Final = Row(
    "Models",
    (
        VERSIONS,
        Panel(
            "Champion",
            "Which model is the champion, since when?",
            (Query("max by (model_version) (tollgate_champion_info)", "{{model_version}}"),),
            kind="state-timeline",
            width=12,
            words=((1, "champion", "green"),),
        ),
        Panel(
            "Workers by model",
            "How far is a swap?",
            (
                Query(
                    'sum by (model_version) (max by (role, model_version) (tollgate_workers{role=~"scoring|bulk",'
                    'model_version=~"$model_version"}))',
                    "{{model_version}}",
                ),
            ),
            alerts=("TollgateModelVersionMismatch",),
        ),
        RELOADS,
        Panel(
            "Decisions by model",
            "What does each model decide? A new one that declines much more than the old one: roll back.",
            (
                Query(
                    'tollgate:decisions_by_model_version:rate1m{model_version=~"$model_version"}',
                    "{{model_version}}: {{action}}",
                ),
            ),
            unit="cps",
        ),
    ),
)
CHALLENGER: Final = Row(
    "Challenger: shadow and canary",
    (
        Panel(
            "What the guard did",
            "Did a model break a guardrail, and what was done: canary ended, champion rolled back?",
            (Query(grown("tollgate_guard_actions_total", "action"), "{{action}}"),),
            alerts=("TollgateQualityBelowPromise",),
            colours=(("canary_ended", "orange"), ("rolled_back", "red")),
        ),
        Panel(
            "Challenger failing",
            "Does the challenger fail at batches, or does a worker refuse a bundle? The champion decides all the same.",
            (
                Query(grown("tollgate_challenger_failures_total"), "batches failed"),
                Query(grown("tollgate_bundles_refused_total", "pointer"), "bundle refused, {{pointer}}"),
            ),
            alerts=("TollgateReloadRefused",),
        ),
        Panel(
            "Time for the challenger",
            "What does scoring twice cost each batch?",
            (
                Query(quantile(0.99, _STAGES, where='stage="shadow"'), "challenger, p99"),
                Query(quantile(0.99, _STAGES, where='stage="predict"'), "champion, p99"),
            ),
            unit="s",
            empty=NO_CHALLENGER,
        ),
    ),
)
