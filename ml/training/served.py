"""Training data out of the ledger, point in time: the features that were served, the labels that were known by then.

Only matured transactions count: those old enough that their labels would have arrived. Early labels are mostly
fraud, so a younger transaction with a label says nothing about its neighbours without one. Whether silence is an answer
is for the label policy to say: where labels are chargebacks, what nobody reported was genuine, unless it was declined.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from config.contracts import LabelPolicy
from config.schema.model import Schema
from config.tenants import prefix_of
from ml.extremes import bounded
from ml.features.compiled import Floats, Integers
from ml.features.frame import fit_vocabularies
from ml.features.spec import FeatureSpec
from ml.ledger import LabelRecord, Ledger, StoredDecision, StoredLabel
from ml.training.block import split_newest_block
from ml.training.dataset import MAX_VALUES, Dataset

Texts = NDArray[np.object_]
Mask = NDArray[np.bool_]
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided at the time. `transaction_ids`, `model_digests`: (n,) of the deciding bundle;
    `probability`: (n,) what it said.
    """

    transaction_ids: Texts
    model_digests: Texts
    probability: Floats


@dataclass(frozen=True, slots=True)
class ServedRows:
    """Matured transactions whose truth is known, in the order of arrival.

    `X`: (n, p) float64 as served; category columns hold the codes of whichever model served, so `matrix` sets them
    anew from `texts`: category field -> (n,) what was sent. `y`: (n,) 0 or 1. `times`: (n,) event time, Unix seconds.
    `amount`: (n,), NaN where missing, None without an amount role. `cards`: (n,) codes of the first entity, -1 for
    none. `label_delay_s`: age from which a transaction counts as matured. `decided`: what was decided at the time;
    None: a replayed data set, about which nobody decided.
    `weight`: (n,) how many transactions each stands for: 1 / propensity for a decline that was let through to
    learn from; None: one each.
    """

    X: Floats
    texts: Mapping[str, Texts]
    y: Floats
    times: Floats
    amount: Floats | None
    cards: Integers | None
    spec: FeatureSpec
    label_delay_s: float
    decided: Decided | None = None
    weight: Floats | None = None
    notes: list[str] = field(default_factory=list)

    def matrix(self, vocabularies: Mapping[str, Mapping[str, int]], rows: Integers | slice = slice(None)) -> Floats:
        """(n, p): X of these rows as a model with these vocabularies would have been shown it."""
        return as_shown(self.X[rows], {name: self.texts[name][rows] for name in self.texts}, self.spec, vocabularies)

    @property
    def frame(self) -> pd.DataFrame:
        """The category fields as they were sent, one row per transaction."""
        return pd.DataFrame(dict(self.texts), index=range(len(self.y)))

    def dataset(self) -> Dataset:
        """The same as training wants it: windows that end with the newest block, vocabularies of the oldest.

        Raises:
            ModelRefused: too few matured frauds, or too short a history, for three windows with gaps.
        """
        split = split_newest_block(self.times, self.y, label_delay_s=self.label_delay_s)
        roles = self.spec.schema.roles
        vocabularies = fit_vocabularies(self.frame.iloc[split.train], self.spec, MAX_VALUES)
        return Dataset(
            X=self.matrix(vocabularies),
            y=self.y,
            times=self.times,
            days=(self.times // _DAY_S).astype(np.int64),
            amount=self.amount,
            cards=self.cards,
            card_name=roles.entities[0][0] if roles.entities else None,
            spec=self.spec,
            vocabularies=vocabularies,
            categories={self.spec.columns.index(name): len(vocabularies[name]) for name in self.spec.categories},
            split=split,
            clock="event time",
            weight=self.weight,
        )


def as_shown(
    X: Floats, texts: Mapping[str, Texts], spec: FeatureSpec, vocabularies: Mapping[str, Mapping[str, int]]
) -> Floats:
    """(n, p): a copy of X as served, with the category codes of these vocabularies. `texts`: field -> (n,) as sent."""
    shown: Floats = X.copy()
    for name in spec.categories:
        code = vocabularies[name].get
        shown[:, spec.columns.index(name)] = [code(text, np.nan) for text in texts[name]]
    shown[np.isinf(shown)] = np.nan
    return shown


def read_served(
    ledger: Ledger,
    schema: Schema,
    spec: FeatureSpec,
    *,
    as_of: datetime,
    label_delay_s: float,
    policy: LabelPolicy = "chargebacks",
) -> ServedRows:
    """Everything that had matured at `as_of`, with the label that counted then. One pass over the ledger.

    Without a label a matured decision is genuine under the policy `chargebacks` and left out under `explicit`. A
    decline without a label is always left out: what was refused cannot come back as a chargeback, so nothing proves it
    genuine, and a model that took its own declines for genuine ones would unlearn them.

    Left out, and counted in the notes: declines that exploration held back (those that it let through stand for them),
    decisions under another schema, decisions by the rules alone (no features), labels without a decision.

    Raises:
        LedgerUnavailable: the database cannot be used.
    """
    reading = _Reading(schema, spec, matured_before_s=as_of.timestamp() - label_delay_s)
    for item in ledger.replay_stream():
        if isinstance(item, StoredLabel):
            reading.take_label(item, as_of)
        else:
            reading.take_decision(item)
    return reading.rows(label_delay_s, policy)


class _Reading:
    """What one pass collects. Labels may come before their decisions, so they are joined at the end."""

    def __init__(self, schema: Schema, spec: FeatureSpec, *, matured_before_s: float) -> None:
        self._schema_digest = schema.digest
        self._spec = spec
        self._matured_before_s = matured_before_s
        positions = {one.name: place for place, one in enumerate(schema.fields)}
        self._categories = {name: positions[name] for name in spec.categories}
        roles = schema.roles
        self._card = positions[roles.entities[0][1]] if roles.entities else None
        self._has_amount = roles.amount is not None
        self._features = bytearray()
        self._texts: dict[str, list[Any]] = {name: [] for name in spec.categories}
        self._cards: list[Any] = []
        self._ids: list[str] = []
        self._times: list[float] = []
        self._amounts: list[float] = []
        self._decided: list[tuple[str, str, float]] = []
        self._labels: dict[str, tuple[datetime, int, bool]] = {}
        self._weights: list[float] = []
        self._declined: list[bool] = []
        self._other_schema = self._without_features = self._alone = self._held_back = 0

    def take_label(self, stored: StoredLabel, as_of: datetime) -> None:
        """Keep the label if it was known and counts more than the one kept: latest `known_at`, then received last."""
        label: LabelRecord = stored.label
        if label.known_at > as_of:
            return
        if label.decision_id is None:
            self._alone += 1
            return
        candidate = (label.known_at, stored.id, label.is_fraud)
        self._labels[label.decision_id] = max(candidate, self._labels.get(label.decision_id, candidate))

    def take_decision(self, stored: StoredDecision) -> None:
        """Keep a matured decision with its features."""
        record = stored.record
        if record.event_at_s > self._matured_before_s:
            return
        if record.schema_digest != self._schema_digest:
            self._other_schema += 1
            return
        if len(stored.features) != 8 * len(self._spec.columns):
            self._without_features += 1
            return
        explored = record.propensity < 1
        if explored and stored.decision.action == "decline":
            self._held_back += 1
            return
        self._features += stored.features
        self._weights.append(1 / record.propensity if explored else 1.0)
        decision = stored.decision
        self._declined.append(decision.action == "decline")
        self._ids.append(decision.decision_id)
        self._decided.append((decision.transaction_id, record.model_digest, decision.fraud_probability))
        self._times.append(record.event_at_s)
        self._amounts.append(np.nan if record.amount is None else record.amount)
        for name, place in self._categories.items():
            self._texts[name].append(record.values[place])
        if self._card is not None:
            card = record.values[self._card]
            self._cards.append(None if card is None else f"{prefix_of(decision.transaction_id)}{card}")

    def rows(self, label_delay_s: float, policy: LabelPolicy) -> ServedRows:
        """What was collected, without the rows whose truth nothing tells."""
        labels = [self._labels.get(decision_id) for decision_id in self._ids]
        labelled = np.array([label is not None for label in labels], dtype=bool)
        declined = np.array(self._declined, dtype=bool)
        kept = labelled | ~declined if policy == "chargebacks" else labelled
        is_fraud = np.array([label is not None and label[2] for label in labels], dtype=np.float64)
        X = bounded(np.frombuffer(self._features, "<f8").reshape(-1, len(self._spec.columns)))
        amount = bounded(np.array(self._amounts, dtype=np.float64))[kept]
        return ServedRows(
            X=X[kept],
            texts={name: np.array(texts, dtype=object)[kept] for name, texts in self._texts.items()},
            y=is_fraud[kept],
            times=np.array(self._times, dtype=np.float64)[kept],
            amount=amount if self._has_amount else None,
            cards=None if self._card is None else _codes(self._cards)[kept],
            spec=self._spec,
            label_delay_s=label_delay_s,
            decided=_decided([one for one, is_kept in zip(self._decided, kept, strict=True) if is_kept]),
            weight=_unless_equal(np.array(self._weights)[kept]),
            notes=self._notes(labelled, declined, policy),
        )

    def _notes(self, labelled: Mask, declined: Mask, policy: LabelPolicy) -> list[str]:
        silent, unproved = int((~labelled & ~declined).sum()), int((~labelled & declined).sum())
        genuine = silent if policy == "chargebacks" else 0
        counted = (
            (silent - genuine, "matured decisions have no label"),
            (unproved, "declines have no label: nothing proves what they were"),
            (self._other_schema, "decisions were made under another schema"),
            (self._without_features, "decisions were made by the rules alone or have other columns"),
            (self._held_back, "declines were held back by exploration"),
            (self._alone, "labelled transactions have no decision"),
        )
        read = f"from the ledger: {int(labelled.sum()):,} matured transactions with a label"
        taken = [f"taken for genuine: {genuine:,} matured transactions without a label"] if genuine else []
        return [read, *taken, *(f"left out: {count:,} {what}" for count, what in counted if count)]


def _decided(rows: list[tuple[str, str, float]]) -> Decided:
    ids, digests, probability = zip(*rows, strict=True) if rows else ((), (), ())
    return Decided(
        np.array(ids, dtype=object), np.array(digests, dtype=object), np.array(probability, dtype=np.float64)
    )


def _unless_equal(weight: Floats) -> Floats | None:
    """None without exploration: then nothing is weighted."""
    return weight if (weight != 1).any() else None


def _codes(values: list[Any]) -> Integers:
    return np.asarray(pd.factorize(np.array(values, dtype=object))[0], dtype=np.int64)
