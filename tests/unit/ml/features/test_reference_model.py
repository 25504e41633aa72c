"""The compiled kernel and both ways of running it against a plain-Python history, on generated streams.

The streams have late events, ties, missing values, transactions without an entity, revised labels and logs
that are trimmed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from config.schema.model import Aggregate, Field, HistoryFeature, Roles, Schema
from ml.features.offline import EntityColumns, LabelEvents, replay
from ml.features.online import Featurizer
from ml.features.spec import FeatureSpec
from tests.history_store import HistoryStore

WINDOWS: tuple[tuple[float | None, float], ...] = ((10.0, 0.0), (8.0, 4.0), (None, 0.0))
FEATURES = tuple(
    HistoryFeature(f"{entity}_{aggregate}_{place}", entity, aggregate, window_s, delay_s, default=default)
    for entity, default in (("account", None), ("merchant", -1.0))
    for aggregate in get_args(Aggregate)
    for place, (window_s, delay_s) in enumerate(WINDOWS)
)
SCHEMA = Schema(
    "generated",
    1,
    fields=(Field("amount", "number"), Field("account", "id"), Field("merchant", "id")),
    roles=Roles(amount="amount", entities=(("account", "account"), ("merchant", "merchant"))),
    features=FEATURES,
)
SPEC = FeatureSpec.from_schema(SCHEMA, history_events=4)


@dataclass(frozen=True)
class Payment:
    at: float
    amount: float | None
    account: str | None
    merchant: str | None

    @property
    def values(self) -> list[Any]:
        return [self.amount, self.account, self.merchant]


@dataclass(frozen=True)
class Label:
    """About an earlier payment (`back` payments ago); weight -1 takes back."""

    back: int
    known_after: float
    is_fraud: bool
    weight: int


@dataclass
class History:
    """What is known of one entity, as lists; only the last `kept` of each are looked at."""

    kept: int
    events: list[tuple[float, float | None]] = field(default_factory=list)
    labels: list[tuple[float, float, bool, int]] = field(default_factory=list)

    def feature(self, declared: HistoryFeature, t: float, own: float | None) -> float:
        until = t - declared.delay_s
        after = -math.inf if declared.window_s is None else until - declared.window_s
        events = [(at, value) for at, value in self.events[-self.kept :] if after < at <= until]
        labels = [x for x in self.labels[-self.kept :] if after < x[0] <= until and x[1] <= t]
        value = self._aggregate(declared.aggregate, t, own, events=events, labels=labels)
        if value is not None:
            return value
        if declared.default is not None:
            return declared.default
        counts = ("count", "sum", "distinct", "label_count", "fraud_count", "fraud_streak")
        return 0.0 if declared.aggregate in counts else math.nan

    @staticmethod
    def _aggregate(
        aggregate: Aggregate,
        t: float,
        own: float | None,
        *,
        events: list[tuple[float, float | None]],
        labels: list[tuple[float, float, bool, int]],
    ) -> float | None:
        x = [value for _, value in events if value is not None]
        total = 0.0
        for value in x:
            total += value
        mean = total / len(x) if x else None
        std = None
        if len(x) > 1 and mean is not None:
            squares = 0.0
            for value in x:
                squares += (value - mean) * (value - mean)
            std = math.sqrt(squares / (len(x) - 1)) if len(set(x)) > 1 else 0.0
        known = max(0, sum(weight for *_, weight in labels))
        frauds = max(0, sum(weight for _, _, is_fraud, weight in labels if is_fraud))
        base = max(known, len(events))
        streak, began = _streak(labels)
        latest = max((at for at, _ in events), default=None)
        last = max(
            ((at, place, value) for place, (at, value) in enumerate(events) if value is not None),
            default=None,
        )
        answers: dict[str, float | None] = {
            "count": len(events) or None,
            "sum": total if x else None,
            "mean": mean,
            "std": std,
            "min": min(x, default=None),
            "max": max(x, default=None),
            "distinct": len(set(x)) or None,
            "last": last[2] if last else None,
            "time_since_last": (t - latest) / 3600 if latest is not None else None,
            "ratio_to_mean": own / mean if own is not None and mean else None,
            "zscore": (own - mean) / std if own is not None and mean is not None and std else None,
            "label_count": known or None,
            "fraud_count": frauds if known else None,
            "fraud_rate": frauds / base if base else None,
            "fraud_streak": streak if known else None,
            "fraud_streak_age": (t - began) / 3600 if streak else None,
        }
        return answers[aggregate]


def _streak(labels: list[tuple[float, float, bool, int]]) -> tuple[int, float]:
    """How many frauds there are after the latest genuine transaction, and when the first of them was."""
    net: dict[tuple[float, bool], int] = {}
    for at, _, is_fraud, weight in labels:
        net[at, is_fraud] = net.get((at, is_fraud), 0) + weight
    genuine_at = max((at for (at, is_fraud), n in net.items() if n > 0 and not is_fraud), default=-math.inf)
    frauds = {at: n for (at, is_fraud), n in net.items() if is_fraud and at > genuine_at}
    return max(0, sum(frauds.values())), min((at for at, n in frauds.items() if n > 0), default=math.inf)


PAYMENTS = st.builds(
    Payment,
    at=st.integers(0, 24).map(float),
    amount=st.none() | st.sampled_from([0.0, 1.0, 0.1, 3.3, 1e9, -2.5]),
    account=st.none() | st.sampled_from("ab"),
    merchant=st.none() | st.sampled_from("xy"),
)
LABELS = st.builds(
    Label,
    back=st.integers(1, 6),
    known_after=st.integers(0, 12).map(float),
    is_fraud=st.booleans(),
    weight=st.sampled_from([1, 1, 1, -1]),
)
STREAMS = st.lists(st.one_of(PAYMENTS, PAYMENTS, LABELS), max_size=30)
BUSY = [x for i in range(12) for x in (Payment(float(i % 7 + i), 0.1 * i, "a", "x"), Label(2, 3.0, i % 2 == 0, 1))]


def split(stream: list[Payment | Label]) -> tuple[list[Payment], list[tuple[int, int, Label]]]:
    """The payments, and for each usable label: which payment it is about, which is the first to arrive
    after it.
    """
    payments: list[Payment] = []
    labels = []
    for arrival in stream:
        if isinstance(arrival, Payment):
            payments.append(arrival)
        elif arrival.back <= len(payments):
            labels.append((len(payments) - arrival.back, len(payments), arrival))
    return payments, labels


def expected(payments: list[Payment], labels: list[tuple[int, int, Label]]) -> np.ndarray:
    """The reference model's X, one payment after the other."""
    histories: dict[tuple[str, str], History] = {}
    X = np.full((len(payments), len(SPEC.columns)), np.nan)
    for row, payment in enumerate(payments):
        for about, before, label in labels:
            if before == row:
                of = payments[about]
                for key in (("account", of.account), ("merchant", of.merchant)):
                    if key in histories:
                        histories[key].labels.append((of.at, of.at + label.known_after, label.is_fraud, label.weight))
        X[row, 0] = math.nan if payment.amount is None else payment.amount
        for entity, value in (("account", payment.account), ("merchant", payment.merchant)):
            if value is None:
                continue
            history = histories.setdefault((entity, value), History(SPEC.history_events))
            for declared in FEATURES:
                if declared.entity == entity:
                    X[row, SPEC.columns.index(declared.name)] = history.feature(declared, payment.at, payment.amount)
            history.events.append((payment.at, payment.amount))
    return X


def served(payments: list[Payment], labels: list[tuple[int, int, Label]]) -> np.ndarray:
    """X as the online side gives it, all payments in one batch."""
    store = HistoryStore(SPEC)
    histories = []
    for row, payment in enumerate(payments):
        for about, before, label in labels:
            if before == row:
                of = payments[about]
                store.label(
                    of.values,
                    of.at,
                    known_at_s=of.at + label.known_after,
                    is_fraud=label.is_fraud,
                    weight=label.weight,
                )
        histories.append(store.observe(payment.values, payment.at))
    rows = [payment.values for payment in payments]
    return Featurizer(SPEC, {}).assemble(rows, histories, [payment.at for payment in payments]).X


def replayed(payments: list[Payment], labels: list[tuple[int, int, Label]]) -> np.ndarray:
    """X as offline replay gives it."""
    times = np.array([payment.at for payment in payments], np.float64)
    amounts = np.array([payment.amount for payment in payments], np.float64)
    X = np.full((len(payments), len(SPEC.columns)), np.nan)
    X[:, 0] = amounts
    codes = {None: -1, "a": 0, "b": 1, "x": 0, "y": 1}
    events = LabelEvents(
        transaction=np.array([about for about, _, _ in labels], np.int64),
        before=np.array([before for _, before, _ in labels], np.int64),
        known_at_s=np.array([payments[about].at + label.known_after for about, _, label in labels], np.float64),
        is_fraud=np.array([label.is_fraud for *_, label in labels], np.float64),
        weight=np.array([label.weight for *_, label in labels], np.float64),
    )
    entities = {
        name: EntityColumns(np.array([codes[getattr(p, name)] for p in payments], np.int64), amounts.reshape(-1, 1))
        for name in ("account", "merchant")
    }
    replay(SPEC, times, entities=entities, labels=events, X=X)
    return X


def same_bits(left: np.ndarray, right: np.ndarray) -> bool:
    """Equal to the last bit; NaN equals NaN."""
    return bool(np.array_equal(left, right, equal_nan=True))


@settings(max_examples=150, deadline=None)
@given(STREAMS)
@example(BUSY)
def test_online_and_offline_equal_the_reference_bit_for_bit(stream: list[Payment | Label]) -> None:
    payments, labels = split(stream)
    truth = expected(payments, labels)
    assert same_bits(served(payments, labels), truth)
    assert same_bits(replayed(payments, labels), truth)


@settings(max_examples=30, deadline=None)
@given(STREAMS)
def test_a_transaction_never_sees_what_arrives_after_it(stream: list[Payment | Label]) -> None:
    payments, labels = split(stream)
    half = len(payments) // 2
    before = [(about, place, label) for about, place, label in labels if place < half]
    assert same_bits(replayed(payments, labels)[:half], replayed(payments[:half], before))
