"""History features of whole data sets: the log that each transaction saw online is rebuilt, then the same
kernel runs.

`replay` is the pure form (arrays in arrival order); `ml.features.frame` makes those arrays from a DataFrame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.features.calendar_parts import calendar_features
from ml.features.compiled import Floats, Integers
from ml.features.history_log import LABEL_SIZE
from ml.features.kernel import replay_history_features
from ml.features.spec import EntitySpec, FeatureSpec


@dataclass(frozen=True, slots=True)
class EntityColumns:
    """One entity's side of the transactions, in arrival order.

    `codes`: (n,) int64, equal for transactions of the same entity, -1 where there is none. `kept`: (n, k)
    float64, the values of `EntitySpec.record` (texts as `hash_text`, missing as NaN).
    """

    codes: Integers
    kept: Floats


@dataclass(frozen=True, slots=True)
class LabelEvents:
    """Labels in the order in which they arrived, all arrays (m,).

    `transaction`: place (arrival order) of the labelled transaction. `before`: place of the first
    transaction that arrived after the label, ascending. `known_at_s`: Unix seconds. `is_fraud`: 0 or 1.
    `weight`: +1, or -1 to take back.
    """

    transaction: Integers
    before: Integers
    known_at_s: Floats
    is_fraud: Floats
    weight: Floats


def labels_after_delay(event_times: Floats, is_fraud: Floats, delay_s: float) -> LabelEvents:
    """Labels of data that has only a label column: each known `delay_s` after its transaction.

    `event_times`: (n,) ascending, `is_fraud`: (n,) 0, 1, or NaN where unknown (such rows never get a label).
    A label arrives before the transactions that happen in the very second it becomes known.
    """
    transaction = np.flatnonzero(~np.isnan(is_fraud))
    known_at = event_times[transaction] + delay_s
    return LabelEvents(
        transaction=transaction,
        before=np.searchsorted(event_times, known_at, side="left"),
        known_at_s=known_at,
        is_fraud=is_fraud[transaction],
        weight=np.ones(len(transaction)),
    )


def replay(
    spec: FeatureSpec,
    event_times: Floats,
    *,
    entities: Mapping[str, EntityColumns],
    labels: LabelEvents | None,
    X: Floats,
    has_calendar: bool = True,
) -> None:
    """Fill the history features and what is derived into `X`, exactly as they were (or would have been)
    served.

    `event_times`: (n,) Unix seconds, in arrival order, as all of `entities` (by entity name) and the rows
    of `X` (n, p) float64. Derived fields that are not NaN in `X` stay. Bit for bit what
    `Featurizer.assemble` gives when it is shown, for each transaction, the last `spec.history_events`
    records of each log that arrived before it. `has_calendar`: false when `event_times` only order the
    rows, so that no hour can be told from them.
    """
    if has_calendar:
        calendar_features(event_times, spec.calendar, X)
    for entity in spec.entities:
        _replay_entity(spec, entity, event_times, columns=entities[entity.name], labels=labels, X=X)


def _replay_entity(
    spec: FeatureSpec,
    entity: EntitySpec,
    event_times: Floats,
    *,
    columns: EntityColumns,
    labels: LabelEvents | None,
    X: Floats,
) -> None:
    rows, starts = _grouped(columns.codes)
    events = np.empty((len(rows), 1 + len(entity.record)))
    events[:, 0] = event_times[rows]
    events[:, 1:] = columns.kept[rows]
    X[np.ix_(columns.codes < 0, _history_targets(spec, entity))] = np.nan
    label_starts, before, label_rows = _grouped_labels(entity, event_times, columns.codes, labels, len(starts) - 1)
    replay_history_features(
        rows,
        starts,
        events,
        label_starts,
        before,
        label_rows,
        spec.history_events,
        entity.windows,
        entity.operations,
        X,
    )


def _history_targets(spec: FeatureSpec, entity: EntitySpec) -> Integers:
    """The columns of X that this entity always fills (its derived fields may have been sent)."""
    targets = entity.operations[:, 2].astype(np.int64)
    return targets[targets >= len(spec.sources)]


def _grouped(codes: Integers) -> tuple[Integers, Integers]:
    """Places in arrival order grouped by code (without -1), and where each code's group starts (one more
    than codes).
    """
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes[codes >= 0], minlength=0)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return order[np.count_nonzero(codes < 0) :], starts


def _grouped_labels(
    entity: EntitySpec,
    event_times: Floats,
    codes: Integers,
    labels: LabelEvents | None,
    groups: int,
) -> tuple[Integers, Integers, Floats]:
    """Label records grouped by entity code, in arrival order inside: starts, `before`, records (m, 4)."""
    if labels is None or not entity.uses_labels:
        nothing: NDArray[np.int64] = np.empty(0, np.int64)
        return np.zeros(groups + 1, np.int64), nothing, np.empty((0, LABEL_SIZE // 8))
    owner = codes[labels.transaction]
    order = np.argsort(owner, kind="stable")[np.count_nonzero(owner < 0) :]
    starts = np.concatenate([[0], np.cumsum(np.bincount(owner[order], minlength=groups))]).astype(np.int64)
    records = np.empty((len(order), LABEL_SIZE // 8))
    records[:, 0] = event_times[labels.transaction[order]]
    records[:, 1] = labels.known_at_s[order]
    records[:, 2] = labels.is_fraud[order]
    records[:, 3] = labels.weight[order]
    return starts, labels.before[order], records
