"""The dashboard Business: how many payments, how much fraud, what is done about it and what that costs."""

from __future__ import annotations

from typing import Final

from deploy.grafana.panel import Dashboard, Panel, Query, Row, stat
from deploy.grafana.parts import ACTION_COLOURS, ALERTS_FIRING, MODEL_VERSION, NOTHING_DECIDED
from deploy.grafana.promql import PREDICT, grown, newest, rate
from deploy.grafana.quality import NO_LABELS, NOT_MATURED, known

_RANGE: Final = "$__range"
_ALL: Final = grown("tollgate_decisions_total", window=_RANGE)


_STOPPED_NOW: Final = rate("tollgate_decisions_total", where='action=~"review|decline"')


def _decided(action: str) -> str:
    return grown("tollgate_decisions_total", where=f'action=~"{action}"', window=_RANGE)


def _share(action: str) -> str:
    return f"{_decided(action)} / {_ALL}"


def _money(measure: str, maturity: str, bound: str = "value") -> str:
    return known("tollgate_quality_ratio", f'measure="{measure}",maturity="{maturity}"', bound=bound)


def _cost(maturity: str, bound: str = "value") -> str:
    return known("tollgate_quality_cost_per_payment", f'maturity="{maturity}"', bound=bound)


_NOW: Final = Row(
    "In the time shown",
    (
        stat("Payments decided", "How many payments were decided?", _ALL, lowest="blue"),
        stat(
            "Approved",
            "Which share passed at once?",
            _share("approve"),
            unit="percentunit",
            lowest="blue",
            empty=NOTHING_DECIDED,
        ),
        stat(
            "Alert rate",
            "Which share was stopped: declined, or held for a person?",
            _share("review|decline"),
            unit="percentunit",
            lowest="blue",
            empty=NOTHING_DECIDED,
        ),
        stat(
            "Declined",
            "Which share was declined? This is the fraud rate as the model sees it.",
            _share("decline"),
            unit="percentunit",
            lowest="blue",
            empty=NOTHING_DECIDED,
        ),
        stat(
            "To review",
            "How many payments were given to a person?",
            _decided("review"),
            lowest="blue",
        ),
        stat(
            "Fraud value detected",
            "Which share of the money in fraud was stopped, in the matured part of the last 28 days?",
            _money("value_detected", "matured"),
            unit="percentunit",
            lowest="blue",
            alerts=("TollgateQualityBelowPromise",),
            empty=NOT_MATURED,
        ),
        stat(
            "Cost per payment",
            "What did a decision cost on average, gains negative, in the currency of the amounts? Matured, 28 days.",
            _cost("matured"),
            lowest="blue",
            empty=NOT_MATURED,
        ),
        ALERTS_FIRING,
    ),
)
_VOLUME: Final = Row(
    "Volume",
    (
        Panel(
            "Request volume",
            "How many payments are asked about, one by one, and how many requests go elsewhere?",
            (
                Query(rate("tollgate_requests_total", where=PREDICT), "POST /predict"),
                Query(rate("tollgate_requests_total", where='endpoint!="/predict"'), "everything else"),
            ),
            unit="reqps",
            width=12,
            alerts=("TollgateDown",),
        ),
        Panel(
            "Decisions by action",
            "What happens to payments, those in batches included?",
            (Query("tollgate:decisions:rate1m", "{{action}}"),),
            unit="cps",
            width=12,
            is_stacked=True,
            colours=ACTION_COLOURS,
        ),
        Panel(
            "Fraud rate",
            "How much is fraud? By the model at once, by labels weeks later; far apart: the model is wrong.",
            (
                Query("tollgate:fraud_rate:ratio_rate5m", "declined, last 5 minutes"),
                Query(newest("tollgate_fraud_rate"), "fraud by the model, newest 1,000"),
                Query(_money("fraud_rate", "matured"), "fraud by labels, matured", NOT_MATURED),
            ),
            unit="percentunit",
            width=12,
            empty=NOTHING_DECIDED,
        ),
        Panel(
            "Alert rate",
            "How many customers are stopped, by the model's decisions and in the labelled past?",
            (
                Query(f"{_STOPPED_NOW} / {rate('tollgate_decisions_total')}", "now"),
                Query(_money("alert_rate", "matured"), "matured, 28 days", NOT_MATURED),
            ),
            unit="percentunit",
            width=12,
            empty=NOTHING_DECIDED,
        ),
        Panel(
            "Decisions by model",
            "Did the mix change when the model did?",
            (
                Query(
                    'tollgate:decisions_by_model_version:rate1m{model_version=~"$model_version"}',
                    "{{model_version}}: {{action}}",
                ),
            ),
            unit="cps",
            width=24,
        ),
    ),
)
_MONEY: Final = Row(
    "Money and people",
    (
        Panel(
            "Fraud value detected",
            "Which share of the money in fraud is stopped? Band: 95% bounds.",
            (
                Query(_money("value_detected", "matured"), "matured"),
                Query(_money("value_detected", "matured", "low"), "low"),
                Query(_money("value_detected", "matured", "high"), "high"),
                Query(_money("value_detected", "provisional"), "provisional"),
            ),
            unit="percentunit",
            width=12,
            alerts=("TollgateQualityBelowPromise",),
            empty=NO_LABELS,
            has_band=True,
        ),
        Panel(
            "Cost per payment",
            "What does a decision cost on average, gains negative, in the currency of the amounts?",
            (
                Query(_cost("matured"), "matured"),
                Query(_cost("matured", "low"), "low"),
                Query(_cost("matured", "high"), "high"),
                Query(_cost("provisional"), "provisional"),
            ),
            width=12,
            empty=NO_LABELS,
            has_band=True,
        ),
        Panel(
            "Reviews asked for and done",
            "Do the people keep up?",
            (
                Query(rate("tollgate_decisions_total", where='action="review"'), "asked for"),
                Query(rate("tollgate_labels_total", where='source="manual_review"'), "done"),
            ),
            unit="cps",
        ),
        Panel(
            "Honest customers stopped",
            "Which share of honest payments was stopped?",
            (
                Query(_money("false_positive_rate", "matured"), "matured"),
                Query(_money("false_positive_rate", "provisional"), "provisional"),
            ),
            unit="percentunit",
            alerts=("TollgateQualityBelowPromise",),
            empty=NO_LABELS,
        ),
        Panel(
            "Best use of a day's reviews",
            "Of the k riskiest payments, or cards, of a day, how many were fraud?",
            (
                Query(_money("precision_at_k", "matured"), "payments, matured"),
                Query(_money("card_precision_at_k", "matured"), "cards, matured"),
                Query(_money("precision_at_k", "provisional"), "payments, provisional"),
            ),
            unit="percentunit",
            alerts=("TollgateQualityBelowPromise",),
            empty=NO_LABELS,
        ),
    ),
)

BUSINESS: Final = Dashboard(
    "tollgate-business",
    "Tollgate: Business",
    "How many payments, how much fraud, what is done about it, and what does that cost or save?",
    (_NOW, _VOLUME, _MONEY),
    (MODEL_VERSION,),
    since="24h",
    refresh="1m",
)
