"""What web processes count, one set per server: requests, stages, batches, refusals."""

from __future__ import annotations

from typing import Final

from config.errors import (
    AuthUnavailable,
    BrokerUnavailable,
    Forbidden,
    LedgerUnavailable,
    Overloaded,
    Unauthenticated,
)
from config.metrics.metric import Label, Metric

LATENCY_BUCKETS_S: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
_BATCH_BUCKETS_ROWS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

REQUESTS: Final = Metric(
    "tollgate_requests_total",
    "counter",
    "HTTP requests answered.",
    ("web",),
    (
        Label("endpoint", most=120, words="a route of the OpenAPI document, or `unmatched`"),
        Label("status", most=40, words="an HTTP status that Tollgate answers with"),
    ),
)
REQUEST_LATENCY: Final = Metric(
    "tollgate_request_latency_seconds",
    "histogram",
    "Time to answer a request.",
    ("web",),
    (Label("endpoint", most=120, words="a route of the OpenAPI document, or `unmatched`"),),
    unit="seconds",
    buckets=LATENCY_BUCKETS_S,
)
STAGE_LATENCY: Final = Metric(
    "tollgate_stage_latency_seconds",
    "histogram",
    "Time per stage of a web process: web (a payment is read and checked), coalescer_wait (until its batch is sent),"
    " round_trip (until the batch's answer is there), reply (until everybody who waits for the batch is woken).",
    ("web",),
    (Label("stage", ("web", "coalescer_wait", "round_trip", "reply")),),
    unit="seconds",
    buckets=LATENCY_BUCKETS_S,
)
BATCH_ROWS: Final = Metric(
    "tollgate_batch_rows",
    "histogram",
    "Transactions per batch sent.",
    ("web",),
    unit="transactions",
    buckets=_BATCH_BUCKETS_ROWS,
)
LATE: Final = Metric(
    "tollgate_late_total",
    "counter",
    "Synchronous requests without a score in time, by what they became.",
    ("web",),
    (Label("outcome", ("poll", "refuse", "rules", "rules_overloaded")),),
)
REFUSED: Final = Metric(
    "tollgate_refused_total",
    "counter",
    "Transactions refused with 503.",
    ("web",),
    (Label("reason", (Overloaded.code, BrokerUnavailable.code, LedgerUnavailable.code)),),
)
LIMITED: Final = Metric(
    "tollgate_limited_total",
    "counter",
    "Requests refused with 429 because a budget was used up.",
    ("web",),
    (Label("budget", ("score", "bulk", "feedback", "operations", "address", "credentials")),),
)
LIMITS_SKIPPED: Final = Metric(
    "tollgate_limits_skipped_total",
    "counter",
    "Times that requests were let through uncounted, since Redis did not count them.",
    ("web",),
)

AUTH_REFUSED: Final = Metric(
    "tollgate_auth_refused_total",
    "counter",
    "Requests that were not let in, by why.",
    ("web",),
    (Label("reason", (Unauthenticated.code, Forbidden.code, AuthUnavailable.code)),),
)
SIGN_INS: Final = Metric(
    "tollgate_sign_ins_total",
    "counter",
    "People who signed in to the console, or tried: refused (a wrong key, or the issuer's no), limited (too many tries"
    " from an address), unavailable (nobody could be recognised).",
    ("web",),
    (Label("outcome", ("signed_in", "refused", "limited", "unavailable")),),
)
KEY_READS: Final = Metric(
    "tollgate_key_reads_total",
    "counter",
    "Readings of the table of API keys; after one that failed the table before stays in force.",
    ("web",),
    (Label("outcome", ("read", "failed")),),
)

METRICS: Final = (
    REQUESTS,
    REQUEST_LATENCY,
    STAGE_LATENCY,
    BATCH_ROWS,
    LATE,
    REFUSED,
    LIMITED,
    LIMITS_SKIPPED,
    AUTH_REFUSED,
    SIGN_INS,
    KEY_READS,
)
