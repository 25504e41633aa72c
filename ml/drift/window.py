"""The newest decisions of one model, read from the ledger as arrays. Memory is bounded by `MOST_ROWS`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import numpy as np

from ml.drift.check import Window
from ml.drift.report import DriftReport
from ml.features.spec import FeatureSpec
from ml.ledger import Ledger
from ml.ledger.served import ServedRow

MOST_ROWS: Final = 10_000
"""Decisions that one check compares; of more, every n-th."""
_DAY_S: Final = 86_400


def read_window(
    ledger: Ledger, spec: FeatureSpec, *, model_version: str, model_digest: str, since: datetime, until: datetime
) -> tuple[Window, DriftReport]:
    """Decisions with `since <= scored_at < until` by this bundle, and what is known of the window already.

    Raises LedgerUnavailable.
    """
    counts = ledger.count_served(since, until)
    own = counts.get(model_digest, 0)
    rows = list(_sample(ledger, model_digest, since, until, step=1 + (own - 1) // MOST_ROWS)) if own else []
    about = DriftReport(
        status="too few decisions",
        detail="",
        model_version=model_version,
        model_digest=model_digest,
        since=since.isoformat(timespec="seconds"),
        until=until.isoformat(timespec="seconds"),
        decisions=own,
        other_models=sum(counts.values()) - own,
    )
    return make_window(rows, spec), about


def make_window(rows: Sequence[ServedRow], spec: FeatureSpec) -> Window:
    """Rows as arrays; those whose features are not this spec's are left out."""
    width = 8 * len(spec.columns)
    fitting = [row for row in rows if len(row.features) == width]
    times = np.array([row.event_time_s for row in fitting], np.float64)
    return Window(
        X=np.frombuffer(b"".join(row.features for row in fitting), "<f8").reshape(-1, len(spec.columns)),
        score=np.array([row.fraud_probability for row in fitting], np.float64),
        days=(times // _DAY_S).astype(np.int64),
        sent={
            spec.columns.index(name): np.array(
                [row.values[spec.sources[spec.columns.index(name)]] is not None for row in fitting], dtype=bool
            )
            for name in spec.categories
        },
    )


def _sample(ledger: Ledger, model_digest: str, since: datetime, until: datetime, *, step: int) -> Iterator[ServedRow]:
    after = 0
    while True:
        page = ledger.served_rows(model_digest, since, until, step=step, after=after)
        yield from page
        if not page:
            return
        after = page[-1].id
