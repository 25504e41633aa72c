"""Simulated card payments: the public function, and how they come about.

**Accounts** (about one per 50 payments) pay at habitual hours, mostly at favourite merchants of the categories that
they like, amounts log-normal around a usual one of their own. Honest life is untidy: shopping trips of several
payments an hour, big purchases, payments of cents, night owls. **Merchants** have a category and a popularity.

**Fraud** (1.2% unless told otherwise) follows five patterns, by share of fraudulent payments:

- stolen card, 50%: three to eight large payments within the hour, mostly online, six times in ten at night;
- amount out of pattern, 18%: one payment of four to twenty times the usual;
- card testing, 15%: tiny online payments a minute apart, sometimes followed by a large one;
- compromised merchant, 14%: ordinary payments with copied cards, at one merchant for some weeks. Only the labels of
  that merchant show it, when they have arrived;
- lookalikes, 3%: nothing shows it.

With `drift_day`, from that day on gift cards (round, middling, in daylight) take the place of most stolen cards.

**Labels** become known log-normally late, seven days on average.

Written for Tollgate; no code or parameters of other simulators. What can be learnt from it is in
tests/unit/ml/test_simulator.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import numpy as np
import pandas as pd

from config.schema.model import Schema
from ml.simulator import fraud
from ml.simulator.honest import honest_payments
from ml.simulator.population import NAMES, Floats, Population, draw_population
from ml.simulator.stream import DAY_S, HONEST, Stream, Stretch, join

START_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
LABEL_DELAY_DAYS: Final = 7.0
LABEL_DELAY_SPREAD: Final = 0.6
PAYMENTS_PER_ACCOUNT_DAY: Final = 0.6
PATTERN_SHARES: Final = {
    fraud.STOLEN_CARD: 0.50,
    fraud.OUT_OF_PATTERN: 0.18,
    fraud.CARD_TESTING: 0.15,
    fraud.COMPROMISED_MERCHANT: 0.14,
    fraud.LOOKALIKE: 0.03,
}
DRIFTED_SHARE: Final = 0.7
_ADDS: Final[dict[str, Callable[[Population, Stretch, int, np.random.Generator], Stream]]] = {
    fraud.STOLEN_CARD: fraud.stolen_card,
    fraud.OUT_OF_PATTERN: fraud.out_of_pattern,
    fraud.CARD_TESTING: fraud.card_testing,
    fraud.GIFT_CARDS: fraud.gift_cards,
}


def simulate_payments(
    schema: Schema,
    n_transactions: int,
    rng: np.random.Generator,
    *,
    start_at: datetime = START_AT,
    days: float = 90.0,
    fraud_share: float = 0.012,
    drift_day: float | None = None,
    population: Population | None = None,
    id_prefix: str = "sim-",
    with_pattern: bool = False,
) -> pd.DataFrame:
    """`n_transactions` payments in time order, labelled.

    Columns: those of `transaction_id, account_id, merchant_id, timestamp, currency, amount, merchant_category` that
    `schema` declares, then the label (0 or 1) under the schema's name for it, `known_at` (when the label becomes
    known) and, on request, `pattern` (why it is fraud, "" if it is not: for analysis only). What the schema derives
    (hour, previous_amount ..) is left to the features. Times are UTC, to the millisecond.

    `drift_day`: from this day on fraud has a new pattern. `population`: go on with these accounts and merchants.
    The same `rng` state gives the same frame.

    Raises ValueError: a count or share that makes no sense, a naive `start_at`.
    """
    _check(n_transactions, start_at, days, fraud_share)
    stretch = Stretch(start_at.timestamp(), days)
    if population is None:
        n_accounts = max(20, round(n_transactions / (days * PAYMENTS_PER_ACCOUNT_DAY)))
        population = draw_population(n_accounts, max(60, n_accounts // 4), rng)
    stream = _simulate(population, stretch, n_transactions, fraud_share, drift_day, rng)
    return _frame(stream, schema, rng, id_prefix=id_prefix, with_pattern=with_pattern)


def _check(n_transactions: int, start_at: datetime, days: float, fraud_share: float) -> None:
    if n_transactions < 1 or not days > 0:
        raise ValueError(f"n_transactions and days must be positive, got {n_transactions} and {days}")
    if not 0 <= fraud_share <= 0.5:
        raise ValueError(f"fraud_share must be 0 to 0.5, got {fraud_share}")
    if start_at.utcoffset() is None:
        raise ValueError(f"start_at {start_at} has no time zone")


def _simulate(
    population: Population,
    stretch: Stretch,
    count: int,
    fraud_share: float,
    drift_day: float | None,
    rng: np.random.Generator,
) -> Stream:
    parts = _pattern_counts(round(count * fraud_share), stretch, drift_day)
    added = [_ADDS[name](population, where, n, rng) for name, where, n in parts if name in _ADDS and n > 0]
    honest = honest_payments(population, stretch, count - sum(map(len, added)), rng)
    wanted = Counter[str]()
    for name, _, n in parts:
        wanted[name] += n
    turned = fraud.compromise_merchants(honest, stretch, wanted[fraud.COMPROMISED_MERCHANT], rng)
    return join(fraud.lookalikes(turned, wanted[fraud.LOOKALIKE], rng), *added)


def _pattern_counts(n_fraud: int, stretch: Stretch, drift_day: float | None) -> list[tuple[str, Stretch, int]]:
    """How many payments of which pattern fall into which stretch; the counts add up to `n_fraud`."""
    before = stretch.days if drift_day is None else min(max(drift_day, 0.0), stretch.days)
    early = Stretch(stretch.start_s, before)
    late = Stretch(early.end_s, stretch.days - before)
    n_early = round(n_fraud * before / stretch.days)
    moved = PATTERN_SHARES[fraud.STOLEN_CARD] * DRIFTED_SHARE
    drifted = PATTERN_SHARES | {
        fraud.STOLEN_CARD: PATTERN_SHARES[fraud.STOLEN_CARD] - moved,
        fraud.GIFT_CARDS: moved,
    }
    return _split(n_early, PATTERN_SHARES, early) + _split(n_fraud - n_early, drifted, late)


def _split(count: int, shares: dict[str, float], stretch: Stretch) -> list[tuple[str, Stretch, int]]:
    ends = np.round(np.cumsum(list(shares.values())) * count).astype(int)
    return [(name, stretch, int(n)) for name, n in zip(shares, np.diff(ends, prepend=0), strict=True)]


def _frame(
    stream: Stream, schema: Schema, rng: np.random.Generator, *, id_prefix: str, with_pattern: bool
) -> pd.DataFrame:
    delay_days = rng.lognormal(np.log(LABEL_DELAY_DAYS) - LABEL_DELAY_SPREAD**2 / 2, LABEL_DELAY_SPREAD, len(stream))
    columns = {
        "transaction_id": [f"{id_prefix}{number:09d}" for number in range(1, len(stream) + 1)],
        "account_id": _names("acc-", stream.account),
        "merchant_id": _names("mer-", stream.merchant),
        "timestamp": _moments(stream.at_s),
        "currency": np.full(len(stream), "EUR", dtype=object),
        "amount": stream.amount,
        "merchant_category": np.array(NAMES, dtype=object)[stream.category],
    }
    declared = {field.name for field in schema.fields}
    frame = pd.DataFrame({name: values for name, values in columns.items() if name in declared})
    frame[schema.roles.label or "is_fraud"] = (stream.pattern != HONEST).astype(np.int64)
    frame["known_at"] = _moments(stream.at_s + delay_days * DAY_S)
    if with_pattern:
        frame["pattern"] = stream.pattern
    return frame


def _names(
    prefix: str, numbers: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    most = int(numbers.max(initial=0)) + 1
    return np.array([f"{prefix}{number:05d}" for number in range(most)], dtype=object)[numbers]


def _moments(at_s: Floats) -> pd.DatetimeIndex:
    milliseconds = np.round(at_s * 1000).astype("datetime64[ms]")
    return pd.DatetimeIndex(milliseconds).tz_localize("UTC")
