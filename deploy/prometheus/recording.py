"""Recording rules: what dashboards and burn-rate alerts both ask for, computed once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from deploy.prometheus.rule import Expression, Recording

WINDOWS_S: Final = {"1m": 60, "5m": 300, "30m": 1800}
LATENCY_OBJECTIVE_LE: Final = "0.1"
"""The bucket of `TOLLGATE_LATENCY_OBJECTIVE_MS` (100 ms)."""

_PREDICT: Final = 'endpoint="/predict"'


def _unavailable(window_s: float) -> Expression:
    return lambda times: (
        f'sum(rate(tollgate_requests_total{{{_PREDICT},status=~"5.."}}[{times(window_s)}]))'
        f" / sum(rate(tollgate_requests_total{{{_PREDICT}}}[{times(window_s)}]))"
    )


def _slow(window_s: float) -> Expression:
    latency = "tollgate_request_latency_seconds"
    return lambda times: (
        f'1 - sum(rate({latency}_bucket{{{_PREDICT},le="{LATENCY_OBJECTIVE_LE}"}}[{times(window_s)}]))'
        f" / sum(rate({latency}_count{{{_PREDICT}}}[{times(window_s)}]))"
    )


def _quantile(quantile: float) -> Expression:
    return lambda times: (
        f"histogram_quantile({quantile}, sum by (le)"
        f" (rate(tollgate_request_latency_seconds_bucket{{{_PREDICT}}}[{times(60)}])))"
    )


def _burn_rates() -> Iterator[Recording]:
    for window, seconds in WINDOWS_S.items():
        yield Recording(f"tollgate:predict_unavailable:ratio_rate{window}", _unavailable(seconds))
        yield Recording(f"tollgate:predict_slow:ratio_rate{window}", _slow(seconds))


RECORDINGS: Final = (
    *_burn_rates(),
    Recording("tollgate:predict_latency_seconds:p50_1m", _quantile(0.5)),
    Recording("tollgate:predict_latency_seconds:p99_1m", _quantile(0.99)),
    Recording(
        "tollgate:requests:rate1m", lambda times: f"sum by (endpoint) (rate(tollgate_requests_total[{times(60)}]))"
    ),
    Recording(
        "tollgate:decisions:rate1m", lambda times: f"sum by (action) (rate(tollgate_decisions_total[{times(60)}]))"
    ),
    Recording(
        "tollgate:decisions_by_model_version:rate1m",
        lambda times: (
            f"sum by (action) (rate(tollgate_decisions_total[{times(60)}]))"
            " * on () group_left (model_version) topk(1, max by (model_version) (tollgate_champion_info == 1))"
        ),
    ),
    Recording(
        "tollgate:fraud_rate:ratio_rate5m",
        lambda times: (
            f'sum(rate(tollgate_decisions_total{{action="decline"}}[{times(300)}]))'
            f" / sum(rate(tollgate_decisions_total[{times(300)}]))"
        ),
    ),
    Recording(
        "tollgate:batch_rows:mean_1m",
        lambda times: (
            f"sum(rate(tollgate_batch_rows_sum[{times(60)}])) / sum(rate(tollgate_batch_rows_count[{times(60)}]))"
        ),
    ),
    Recording("tollgate:queue_oldest_age_seconds:max", lambda _: "max by (queue) (tollgate_queue_oldest_age_seconds)"),
)
