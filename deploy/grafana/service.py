"""The dashboard Service: what clients feel. Volume, errors, latency by stage, refusals, burn rates."""

from __future__ import annotations

from typing import Final

from deploy.grafana.panel import Dashboard, Panel, Query, Row, Step, stat
from deploy.grafana.parts import ALERTS_FIRING, DOWN_OR_UP, NO_REQUESTS, WORKER_STAGES
from deploy.grafana.promql import PREDICT, buckets, newest, quantile, rate
from deploy.prometheus.recording import WINDOWS_S
from deploy.prometheus.service_alerts import AVAILABILITY, IN_TIME

_AVAILABILITY_ALERTS: Final = ("TollgateAvailabilityBurnFast", "TollgateAvailabilityBurnSlow")
_LATENCY_ALERTS: Final = ("TollgateLatencyBurnFast", "TollgateLatencyBurnSlow")


def _burn(what: str, objective: float) -> tuple[Query, ...]:
    return tuple(
        Query(f"tollgate:predict_{what}:ratio_rate{window} / {1 - objective:g}", window) for window in WINDOWS_S
    )


_NOW: Final = Row(
    "Now",
    (
        stat(
            "Requests",
            "Is there traffic?",
            "sum(tollgate:requests:rate1m)",
            unit="reqps",
            alerts=("TollgateDown",),
        ),
        stat(
            "Failing",
            "Which share of POST /predict was answered with a 5xx in the last minute? Objective: 0.1%.",
            "tollgate:predict_unavailable:ratio_rate1m",
            unit="percentunit",
            steps=(Step(0.001, "orange"), Step(0.0144, "red")),
            alerts=_AVAILABILITY_ALERTS,
            empty=NO_REQUESTS,
        ),
        stat(
            "Median",
            "How long does POST /predict take?",
            "tollgate:predict_latency_seconds:p50_1m",
            unit="s",
            steps=(Step(0.05, "orange"), Step(0.1, "red")),
            alerts=_LATENCY_ALERTS,
            empty=NO_REQUESTS,
        ),
        stat(
            "p99",
            "How long do the slowest of a hundred take? Objective: 0.1 s.",
            "tollgate:predict_latency_seconds:p99_1m",
            unit="s",
            steps=(Step(0.1, "orange"), Step(0.25, "red")),
            alerts=_LATENCY_ALERTS,
            empty=NO_REQUESTS,
        ),
        stat(
            "Refused",
            "How many payments are refused with 503?",
            rate("tollgate_refused_total"),
            unit="reqps",
            steps=(Step(0.001, "red"),),
            alerts=_AVAILABILITY_ALERTS,
        ),
        stat(
            "Late",
            "How many payments get no score in time?",
            rate("tollgate_late_total"),
            unit="reqps",
            steps=(Step(0.001, "orange"),),
            alerts=_LATENCY_ALERTS,
        ),
        stat(
            "Ready",
            "Does a scoring worker answer the canary?",
            newest("tollgate_ready"),
            words=((0, "no", "red"), (1, "yes", "green")),
            alerts=("TollgateNotReady",),
        ),
        ALERTS_FIRING,
    ),
)
_OBJECTIVES: Final = Row(
    "Objectives",
    (
        Panel(
            "Availability, burn rate",
            "How fast is the error budget spent? 1: it lasts its month; 14.4: two days. Two windows above: page.",
            _burn("unavailable", AVAILABILITY),
            width=12,
            steps=(Step(6, "orange"), Step(14.4, "red")),
            alerts=_AVAILABILITY_ALERTS,
            empty=NO_REQUESTS,
        ),
        Panel(
            "Latency, burn rate",
            "How fast is the budget of slow answers spent? Objective: 99% within 100 ms.",
            _burn("slow", IN_TIME),
            width=12,
            steps=(Step(6, "orange"), Step(14.4, "red")),
            alerts=_LATENCY_ALERTS,
            empty=NO_REQUESTS,
        ),
    ),
)
_TRAFFIC: Final = Row(
    "Traffic",
    (
        Panel(
            "Requests by endpoint",
            "Who calls what? A line that breaks off: a sender, or the network, is gone.",
            (Query("tollgate:requests:rate1m", "{{endpoint}}"),),
            unit="reqps",
        ),
        Panel(
            "Answers by status",
            "What do clients get? 503: see the row below. 422: a sender changed. 429: somebody is limited.",
            (Query(rate("tollgate_requests_total", "status"), "{{status}}"),),
            unit="reqps",
            is_stacked=True,
        ),
        Panel(
            "POST /predict, latency",
            "How long do clients wait?",
            (
                Query("tollgate:predict_latency_seconds:p50_1m", "p50"),
                Query("tollgate:predict_latency_seconds:p99_1m", "p99"),
            ),
            unit="s",
            steps=(Step(0.1, "red"),),
            alerts=_LATENCY_ALERTS,
            empty=NO_REQUESTS,
        ),
        Panel(
            "POST /predict, all latencies",
            "Are a few slow, or all? Two bands: two kinds of payments, or one slow worker.",
            (Query(buckets("tollgate_request_latency_seconds", PREDICT), "{{le}}"),),
            kind="heatmap",
            unit="s",
            width=12,
        ),
        Panel(
            "p99 by endpoint",
            "Which endpoint is slow?",
            (Query(quantile(0.99, "tollgate_request_latency_seconds", "endpoint"), "{{endpoint}}"),),
            unit="s",
            width=12,
            empty="while nothing is called",
        ),
    ),
)
_STAGES: Final = Row(
    "Latency by stage",
    (
        *(
            Panel(
                f"Web stages, p{which * 100:g}",
                "Where does a payment's time go? `coalescer_wait`: too few workers. `round_trip`: see the worker"
                " stages. `web`, `reply`: the web process has too little processor.",
                (Query(quantile(which, "tollgate_stage_latency_seconds", "stage"), "{{stage}}"),),
                unit="s",
                width=12,
                alerts=_LATENCY_ALERTS,
                empty=NO_REQUESTS,
            )
            for which in (0.5, 0.99)
        ),
        *WORKER_STAGES,
    ),
)
_REFUSALS: Final = Row(
    "Refused, degraded, away",
    (
        Panel(
            "Refused, by reason",
            "Why 503? `overloaded`: more workers. `broker_unavailable`, `ledger_unavailable`: see at the right.",
            (Query(rate("tollgate_refused_total", "reason"), "{{reason}}"),),
            unit="reqps",
            width=6,
            alerts=("TollgateAvailabilityBurnFast", "TollgateBrokerDown", "TollgateLedgerDown"),
        ),
        Panel(
            "Limited, by budget",
            "Who reads 429? `credentials`: somebody tries keys. Uncounted: Redis was away, all are let through.",
            (
                Query(rate("tollgate_limited_total", "budget"), "{{budget}}"),
                Query(rate("tollgate_limits_skipped_total"), "uncounted"),
            ),
            unit="reqps",
            width=6,
        ),
        Panel(
            "Late, by what they became",
            "Degraded decisions? `rules`: by the policy file alone. `poll`: a 202, scored later.",
            (Query(rate("tollgate_late_total", "outcome"), "{{outcome}}"),),
            unit="reqps",
            width=6,
            alerts=("TollgateLatencyBurnFast",),
        ),
        Panel(
            "Not let in, by reason",
            "Who knocks? `unauthenticated`: wrong or old keys. `forbidden`: a scope is missing. `not read`: the keys'"
            " table is out of reach, the last one holds.",
            (
                Query(rate("tollgate_auth_refused_total", "reason"), "{{reason}}"),
                Query(rate("tollgate_key_reads_total", where='outcome="failed"'), "not read"),
            ),
            unit="reqps",
            width=6,
        ),
        Panel(
            "Signing in to the console, by what came of it",
            "Who tries? `refused`: wrong keys, or the issuer's no. `limited`: an address tries too often."
            " `unavailable`: the broker, the keys or the issuer cannot be reached.",
            (Query(rate("tollgate_sign_ins_total", "outcome"), "{{outcome}}"),),
            unit="reqps",
            width=6,
        ),
        Panel(
            "What the web side reaches",
            "Is the broker there, the shared state, the ledger, a worker?",
            (
                Query(newest("tollgate_broker_up"), "broker"),
                Query(newest("tollgate_shared_state_up"), "shared state"),
                Query(newest("tollgate_ledger_up"), "ledger"),
                Query(newest("tollgate_ready"), "scoring worker"),
            ),
            kind="state-timeline",
            width=6,
            words=DOWN_OR_UP,
            alerts=("TollgateBrokerDown", "TollgateLedgerDown", "TollgateNotReady"),
        ),
        Panel(
            "Canary",
            "How long does a payment of our own take there and back, traffic or not? How old is the last answer?",
            (
                Query(newest("tollgate_canary_latency_seconds"), "round trip"),
                Query(newest("tollgate_canary_age_seconds"), "age"),
            ),
            unit="s",
            width=6,
            alerts=("TollgateCanarySlow", "TollgateNotReady"),
        ),
        Panel(
            "What runs",
            "Which version, on which Python, with which schema? Two lines: a rollout is half done.",
            (Query("max by (version, python, schema_digest) (tollgate_build_info)"),),
            kind="table",
            width=6,
        ),
    ),
)

SERVICE: Final = Dashboard(
    "tollgate-service",
    "Tollgate: Service",
    "Do clients get their answers, in time, and if not, where is the time or the answer lost?",
    (_NOW, _OBJECTIVES, _TRAFFIC, _STAGES, _REFUSALS),
)
