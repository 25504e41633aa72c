"""The dashboard Model quality: is the champion right, is it still right, and who serves which model?"""

from __future__ import annotations

from typing import Final

from deploy.grafana.models import CHALLENGER, DRIFT, MODELS
from deploy.grafana.panel import Dashboard, Panel, Query, Row, Step, stat
from deploy.grafana.parts import (
    ALERTS_FIRING,
    MISMATCHED,
    MODEL_VERSION,
    NOTHING_DECIDED,
    WORKER,
)
from deploy.grafana.promql import buckets, newest, rate

NO_LABELS: Final = "until labels are there and live quality is rolled up"
NOT_MATURED: Final = "until the first decisions are matured"


def known(metric: str, where: str, *, bound: str = "value") -> str:
    """A figure of live quality where there is one: all its bounds are 0 where nothing is known yet."""
    figure = f'{metric}{{{where},bound="{bound}"}}'
    return f'max({figure} and ignoring (bound) {metric}{{{where},bound="high"}} != 0)'


def _ratio(measure: str, maturity: str, bound: str = "value") -> str:
    return known("tollgate_quality_ratio", f'measure="{measure}",maturity="{maturity}"', bound=bound)


def _now(title: str, measure: str, answers: str) -> Panel:
    return stat(
        title,
        answers,
        _ratio(measure, "matured"),
        unit="percentunit",
        lowest="blue",
        alerts=("TollgateQualityBelowPromise",),
        empty=NOT_MATURED,
    )


def _trend(title: str, measure: str, answers: str, *, width: int = 8) -> Panel:
    """A measure with its 95% bounds where it is matured, and what is known of the younger decisions."""
    return Panel(
        title,
        f"{answers} Band: 95% bounds, of the matured part of the last 28 days. `provisional` can still change.",
        (
            *(Query(_ratio(measure, "matured", bound), legend) for bound, legend in _BOUNDS),
            Query(_ratio(measure, "provisional"), "provisional"),
            Query(_ratio(measure, "estimate"), "estimate of the provisional"),
        ),
        unit="percentunit",
        width=width,
        alerts=("TollgateQualityBelowPromise",),
        empty=NO_LABELS,
        has_band=True,
    )


_BOUNDS: Final = (("value", "matured"), ("low", "low"), ("high", "high"))
_NOW: Final = Row(
    "Now",
    (
        _now("Accuracy", "accuracy", "Which share of decisions was right?"),
        _now("Precision", "precision", "Of what was stopped, how much was fraud?"),
        _now("Recall", "recall", "Of the fraud, how much was stopped?"),
        stat(
            "Below promise",
            "How many measures lie below what the model promised in training?",
            "sum(max by (measure) (tollgate_quality_below_promise))",
            steps=(Step(1, "red"),),
            alerts=("TollgateQualityBelowPromise",),
        ),
        stat(
            "Columns drifting",
            "How many columns changed since training?",
            newest("tollgate_drift_features_drifting"),
            steps=(Step(1, "orange"),),
            alerts=("TollgateDrift",),
        ),
        stat(
            "Last label",
            "How long ago did a label come?",
            "time() - max(tollgate_label_last_received_timestamp_seconds > 0)",
            unit="s",
            steps=(Step(86_400, "orange"), Step(172_800, "red")),
            alerts=("TollgateLabelsStopped",),
            empty=NO_LABELS,
        ),
        MISMATCHED,
        ALERTS_FIRING,
    ),
)
_TREND: Final = Row(
    "Production accuracy",
    (
        _trend("Production accuracy", "accuracy", "Does the share of right decisions hold?", width=24),
        _trend("Precision", "precision", "Are too many honest customers stopped?"),
        _trend("Recall", "recall", "Does fraud get through?"),
        _trend("Fraud rate, by labels", "fraud_rate", "Is there more fraud than there was?"),
        Panel(
            "Below promise, by measure",
            "Which measure broke its promise, and when?",
            (Query(newest("tollgate_quality_below_promise", "measure"), "{{measure}}"),),
            kind="state-timeline",
            width=12,
            words=((0, "kept", "green"), (1, "below", "red")),
            alerts=("TollgateQualityBelowPromise",),
        ),
        Panel(
            "What it rests on",
            "How many decisions and known frauds are behind these figures?",
            (
                Query(newest("tollgate_quality_decisions", "maturity"), "decisions, {{maturity}}"),
                Query(newest("tollgate_quality_frauds", "maturity"), "frauds, {{maturity}}"),
            ),
            width=12,
            alerts=("TollgateLabelsStopped",),
        ),
    ),
)
_SCORES: Final = Row(
    "Scores and labels",
    (
        Panel(
            "Score distribution",
            "Do the scores move? A band that wanders, or a new one: drift, or another model.",
            (Query(buckets("tollgate_score"), "{{le}}"),),
            kind="heatmap",
            width=12,
            alerts=("TollgateDrift",),
        ),
        Panel(
            "Fraud rate, by the model",
            "What share does the model call fraud? A jump: an attack, a broken sender, a bad model.",
            (
                Query("tollgate:fraud_rate:ratio_rate5m", "declined, last 5 minutes"),
                Query(newest("tollgate_fraud_rate"), "fraud, newest 1,000 decisions"),
            ),
            unit="percentunit",
            width=12,
            empty=NOTHING_DECIDED,
        ),
        Panel(
            "Labels received",
            "Do labels come, and from whom?",
            (Query(rate("tollgate_labels_total", "source"), "{{source}}"),),
            unit="cps",
            width=12,
            alerts=("TollgateLabelsStopped",),
        ),
        Panel(
            "Label delay, age of the figures",
            "How old is a decision when it counts as matured? When was live quality last rolled up?",
            (
                Query(newest("tollgate_quality_label_delay_seconds"), "label delay"),
                Query("time() - max(tollgate_quality_rolled_up_timestamp_seconds > 0)", "since the roll-up", NO_LABELS),
            ),
            unit="s",
            width=12,
            alerts=("TollgateLabelsStopped", "TollgateBackgroundQueueOld"),
        ),
    ),
)

QUALITY: Final = Dashboard(
    "tollgate-quality",
    "Tollgate: Model quality",
    "Is the model right, is it as right as it promised, and are payments still what it was trained on?",
    (_NOW, _TREND, _SCORES, DRIFT, MODELS, CHALLENGER),
    (MODEL_VERSION, WORKER),
    since="7d",
    refresh="1m",
)
