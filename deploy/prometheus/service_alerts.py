"""Alerts on what clients feel: latency, availability, readiness, the way to a scoring worker and to the ledger.

Burn rates follow Beyer et al., "The Site Reliability Workbook" (2018), chapter 5, with windows of minutes: at 14.4
times its rate a budget of 30 days is gone in two. Each needs two windows: the long one so that a blip does not wake
anybody, the short one so that the alert ends when the trouble does.
"""

from __future__ import annotations

from typing import Final

from deploy.prometheus.rule import Alert, Expression

AVAILABILITY: Final = 0.999
IN_TIME: Final = 0.99
LEAST_BAD: Final = 10
"""Bad requests in the long window below which a burn rate says nothing: of ten requests a day, one is no trend."""

_BAD_COUNT: Final = {
    "unavailable": 'sum(increase(tollgate_requests_total{{endpoint="/predict",status=~"5.."}}[{window}]))',
    "slow": (
        'sum(increase(tollgate_request_latency_seconds_count{{endpoint="/predict"}}[{window}]))'
        ' - sum(increase(tollgate_request_latency_seconds_bucket{{endpoint="/predict",le="0.1"}}[{window}]))'
    ),
}
_LONG_S: Final = {"5m": 300, "30m": 1800}


def _burns(what: str, objective: float, factor: float, long: str, short: str) -> Expression:
    limit = f"{factor * (1 - objective):g}"
    return lambda times: (
        f"tollgate:predict_{what}:ratio_rate{long} > {limit}"
        f" and tollgate:predict_{what}:ratio_rate{short} > {limit}"
        f" and {_BAD_COUNT[what].format(window=times(_LONG_S[long]))} >= {LEAST_BAD}"
    )


SERVICE_ALERTS: Final = (
    Alert(
        "TollgateDown",
        lambda _: 'absent(up{job="tollgate"}) or up{job="tollgate"} == 0',
        10,
        "critical",
        "Prometheus gets no answer from the web side.",
    ),
    Alert(
        "TollgateAvailabilityBurnFast",
        _burns("unavailable", AVAILABILITY, 14.4, "5m", "1m"),
        0,
        "critical",
        "{{ $value | humanizePercentage }} of POST /predict fail: the error budget of a month is gone in two days.",
    ),
    Alert(
        "TollgateAvailabilityBurnSlow",
        _burns("unavailable", AVAILABILITY, 6, "30m", "5m"),
        60,
        "warning",
        "{{ $value | humanizePercentage }} of POST /predict fail, for half an hour.",
    ),
    Alert(
        "TollgateLatencyBurnFast",
        _burns("slow", IN_TIME, 14.4, "5m", "1m"),
        0,
        "critical",
        "{{ $value | humanizePercentage }} of POST /predict take longer than 100 ms.",
    ),
    Alert(
        "TollgateLatencyBurnSlow",
        _burns("slow", IN_TIME, 6, "30m", "5m"),
        60,
        "warning",
        "{{ $value | humanizePercentage }} of POST /predict take longer than 100 ms, for half an hour.",
    ),
    Alert(
        "TollgateBrokerDown",
        lambda _: "max(tollgate_broker_up) == 0",
        5,
        "critical",
        "The broker does not answer: every payment is refused with 503.",
    ),
    Alert(
        "TollgateNoWorkers",
        lambda _: 'max(tollgate_shared_state_up) == 1 and sum(tollgate_workers{role="scoring"}) == 0',
        5,
        "critical",
        "No scoring worker reports.",
    ),
    Alert(
        "TollgateNotReady",
        lambda _: "max(tollgate_shared_state_up) == 1 and max(tollgate_ready) == 0",
        15,
        "critical",
        "No scoring worker answers the canary.",
    ),
    Alert(
        "TollgateCanarySlow",
        # While none is answered, the last one's time is old: TollgateNotReady says what is wrong then.
        lambda _: "max(tollgate_canary_latency_seconds) > 0.25 and max(tollgate_ready) == 1",
        30,
        "warning",
        "The canary takes {{ $value | humanizeDuration }} from the web side to a worker and back.",
    ),
    Alert(
        "TollgateScoreQueueOld",
        lambda times: f'tollgate:queue_oldest_age_seconds:max{{queue="score"}} > {times.limit(2)}',
        10,
        "critical",
        "The oldest payment has waited {{ $value | humanizeDuration }} for a scoring worker.",
    ),
    Alert(
        "TollgateAcceptedQueueOld",
        lambda times: f'tollgate:queue_oldest_age_seconds:max{{queue="accepted"}} > {times.limit(300)}',
        60,
        "warning",
        "The oldest payment that was answered 202 has waited {{ $value | humanizeDuration }} for a scoring worker.",
    ),
    Alert(
        "TollgateBackgroundQueueOld",
        lambda times: f'max(tollgate:queue_oldest_age_seconds:max{{queue=~"ticks|background"}}) > {times.limit(60)}',
        60,
        "warning",
        "Labels, journal and housekeeping have waited {{ $value | humanizeDuration }} for a background worker.",
    ),
    Alert(
        "TollgateBulkStalled",
        lambda times: f'tollgate:queue_oldest_age_seconds:max{{queue="bulk"}} > {times.limit(120)}',
        60,
        "warning",
        "The next chunk of a batch has waited {{ $value | humanizeDuration }} for a bulk worker.",
    ),
)
