"""What the ledger knows: live quality with its maturity (docs/quality.md), fraud rate, when the last label came."""

from __future__ import annotations

from typing import Final

from config.metrics.metric import Label
from config.metrics.shared import gauge
from config.quality_measures import PROMISED, RATIOS

_LEDGER: Final = ("ledger",)
MATURITIES: Final = ("matured", "provisional", "estimate")
BOUNDS: Final = ("value", "low", "high")
_MATURITY: Final = Label("maturity", MATURITIES)
_BOUND: Final = Label("bound", BOUNDS)
_KNOWN: Final = Label("maturity", ("matured", "provisional"))

RATIO: Final = gauge(
    "quality_ratio",
    "Live quality of the last 28 days, by measure; value and 95% bounds.",
    Label("measure", RATIOS),
    _MATURITY,
    _BOUND,
    sources=_LEDGER,
)
COST: Final = gauge(
    "quality_cost_per_payment",
    "What a decision cost on average in the last 28 days, gains negative; value and 95% bounds.",
    _MATURITY,
    _BOUND,
    unit="the currency of the amount",
    sources=_LEDGER,
)
DECISIONS: Final = gauge("quality_decisions", "Decisions of the last 28 days, by maturity.", _KNOWN, sources=_LEDGER)
FRAUDS: Final = gauge("quality_frauds", "Known frauds among these decisions, by maturity.", _KNOWN, sources=_LEDGER)
BELOW_PROMISE: Final = gauge(
    "quality_below_promise",
    "1 when a matured figure lies below what the model promised in training, both intervals considered.",
    Label("measure", PROMISED),
    sources=_LEDGER,
)
LABEL_DELAY: Final = gauge(
    "quality_label_delay_seconds", "Age at which a decision counts as matured.", unit="seconds", sources=_LEDGER
)
ROLLED_UP: Final = gauge(
    "quality_rolled_up_timestamp_seconds",
    "When live quality was last rolled up; 0 before the first time.",
    unit="seconds",
    sources=_LEDGER,
)
LEDGER_UP: Final = gauge(
    "ledger_up",
    "1 when this scrape could read the ledger; 0: the gauges read from it are 0, not known.",
    sources=_LEDGER,
)
FRAUD_RATE: Final = gauge(
    "fraud_rate",
    "Share of the newest 1,000 decisions in the ledger that say fraud; what was fraud: tollgate_quality_ratio.",
    unit="ratio",
    sources=_LEDGER,
)
LAST_LABEL: Final = gauge(
    "label_last_received_timestamp_seconds",
    "When the newest label in the ledger was received; 0 without one.",
    unit="seconds",
    sources=_LEDGER,
)

METRICS: Final = (
    RATIO,
    COST,
    DECISIONS,
    FRAUDS,
    BELOW_PROMISE,
    LABEL_DELAY,
    ROLLED_UP,
    LEDGER_UP,
    FRAUD_RATE,
    LAST_LABEL,
)
