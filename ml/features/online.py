"""Values of a batch + its entities' logs -> X. The scoring worker calls this for every batch; no DataFrame,
no loop over features in Python.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from ml.features.calendar_parts import calendar_features
from ml.features.compiled import Floats, Integers
from ml.features.elapsed import fill_elapsed
from ml.features.history_log import LABEL_SIZE
from ml.features.kernel import history_features_of_batch
from ml.features.spec import EntitySpec, FeatureSpec

Vocabulary: TypeAlias = Mapping[str, int]
EntityLogs: TypeAlias = tuple[bytes, bytes]

_NAN = math.nan


class Assembled:
    """`X`: (n_transactions, n_columns) float64, NaN where unknown; `derived`: what was filled in, for the
    ledger.
    """

    def __init__(self, X: Floats, sent: Floats, spec: FeatureSpec) -> None:
        self.X = X
        self._sent = sent
        self._spec = spec

    @cached_property
    def derived(self) -> list[dict[str, float]]:
        """Per row: every history feature, and each derived field that the client did not send. What is unknown is
        left out: of a payment without ids that was half of what the ledger kept.
        """
        names = self._spec.history
        history = self.X[:, len(self._spec.sources) :].tolist()
        filled = [_named(names, row) for row in history]
        for name in self._spec.derived:
            column = self._spec.columns.index(name)
            missing = np.isnan(self._sent[:, column]).tolist()
            values = self.X[:, column].tolist()
            for row, value in enumerate(values):
                if missing[row] and value == value:
                    filled[row][name] = value
        return filled


def _named(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    # NaN is the only value that differs from itself: three times faster here than math.isnan.
    return {name: value for name, value in zip(names, values, strict=True) if value == value}


class Featurizer:
    """Turns batches into X by one spec and the vocabularies that a model was trained with. Safe to share by
    threads.

    `vocabularies`: category field -> {value: code}. A value that is not in it is unknown: NaN.
    """

    def __init__(self, spec: FeatureSpec, vocabularies: Mapping[str, Vocabulary]) -> None:
        """Raises ValueError when a category field has no vocabulary."""
        missing = [name for name in spec.categories if name not in vocabularies]
        if missing:
            raise ValueError(f"No vocabulary for the category fields {', '.join(missing)}.")
        self.spec = spec
        self.vocabularies = {name: dict(vocabularies[name]) for name in spec.categories}
        self._coded = [(spec.columns.index(name), self.vocabularies[name].get) for name in spec.categories]

    def assemble(
        self,
        rows: Sequence[Sequence[Any]],
        histories: Sequence[Sequence[EntityLogs]],
        event_times: Sequence[float],
    ) -> Assembled:
        """X of a batch, in the order given.

        `rows`: one list of schema values each (None: not sent). `histories`: per row one `(events, labels)`
        per `spec.entities`, each the log that the row saw, `b""` where there is none. `event_times`: Unix
        seconds.

        Raises:
            ValueError: a log is no whole number of records (it was written under another schema).
        """
        X = np.full((len(rows), len(self.spec.columns)), _NAN)
        width = len(self.spec.sources)
        if rows and width:
            X[:, :width] = self._sent(rows)
        sent = X[:, :width].copy() if self.spec.derived else X
        if len(self.spec.calendar):
            calendar_features(np.array(event_times, np.float64), self.spec.calendar, X)
        for one in self.spec.elapsed:
            moments = np.array([values[one.place] for values in rows], np.float64)
            fill_elapsed(one, np.array(event_times, np.float64), moments, X)
        for position, entity in enumerate(self.spec.entities):
            logs = [history[position] for history in histories]
            _fill_history(entity, rows, logs, event_times, X)
        return Assembled(X, sent, self.spec)

    def recode(self, X: Floats, rows: Sequence[Sequence[Any]]) -> Floats:
        """X of the same batch as a model with other vocabularies was shown it, with this one's codes; X stays."""
        recoded = X.copy()
        for column, code in self._coded:
            source = self.spec.sources[column]
            recoded[:, column] = [code(values[source], _NAN) for values in rows]
        return recoded

    def _sent(self, rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
        """The model fields of each row as numbers; None becomes NaN when numpy reads them."""
        picked = [[values[source] for source in self.spec.sources] for values in rows]
        for column, code in self._coded:
            for values in picked:
                values[column] = code(values[column], _NAN)
        return picked


def _fill_history(
    entity: EntitySpec,
    rows: Sequence[Sequence[Any]],
    logs: Sequence[EntityLogs],
    event_times: Sequence[float],
    X: Floats,
) -> None:
    """Run the kernel over the batch for one entity: its logs are laid one after the other first."""
    place = entity.place
    times = [t if values[place] is not None else _NAN for values, t in zip(rows, event_times, strict=True)]
    history_features_of_batch(
        np.array(times, np.float64),
        _own(entity, rows),
        *_joined([log[0] for log in logs], entity.event_size),
        *_joined([log[1] for log in logs], LABEL_SIZE),
        entity.windows,
        entity.operations,
        X,
    )


def _own(entity: EntitySpec, rows: Sequence[Sequence[Any]]) -> Floats:
    """Each row's own values of the entity's record, (n, k)."""
    if any(entity.hashed):
        own = [entity.kept(values) for values in rows]
    else:
        own = [[values[source] for source in entity.sources] for values in rows]
    return np.array(own, np.float64).reshape(len(rows), len(entity.record))


def _joined(logs: Sequence[bytes], size: int) -> tuple[Floats, Integers]:
    """The logs as one matrix of a record of `size` bytes per row, and the length of each log in bytes."""
    # A bytearray, because numba would compile the kernel again for the read-only matrix that bytes make.
    joined = bytearray().join(logs)
    lengths = [len(log) for log in logs]
    if any(length % size for length in lengths):
        raise ValueError(f"A history log is no whole number of records of {size} bytes: {lengths}.")
    return np.frombuffer(joined, np.float64).reshape(-1, size // 8), np.array(lengths, np.int64)
