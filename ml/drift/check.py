"""The check itself: a window of decisions against a bundle's reference, with false alarms under control.

Of all p-values of a check (distribution of every column and of the score, share missing, unknown, outside) Benjamini
and Hochberg (1995) keep the false discovery rate at `FALSE_ALARM_RATE`; when nothing has changed, that is the
probability that the check finds anything at all. What it finds must also be large enough to matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np

from ml.drift.bins import CategoryBins, Mask, NumberBins
from ml.drift.reference import ColumnReference, Reference, number_days, tabulate
from ml.drift.report import ColumnDrift, DriftReport, Finding, QualityShare, Status
from ml.drift.spread import Evidence, Spread, shares, weigh
from ml.features.compiled import Floats, Integers

FALSE_ALARM_RATE: Final = 0.01
FEWEST_ROWS: Final = 500
LARGE_INDEX: Final = 0.1
"""Index above chance from which a distribution drifts: the usual bound for a moderate shift."""
LARGE_RISE: Final[Mapping[Finding, float]] = {"missing": 0.02, "unknown": 0.02, "outside": 0.05}
"""Rise of a share from which data quality drifts. Extremes come in clusters (all payments of one busy merchant), so
that up to 4% of a day lay outside in simulated traffic that did not change.
"""
STRONG_IMPORTANCE: Final = 1 / 3
"""Share of importance whose drift asks for a challenger even while the score stands still."""


@dataclass(frozen=True, slots=True)
class Window:
    """Decisions of one model. `X`: (n, p) as served; `score`: (n,); `days`: (n,) of event time; `sent`: category column
    -> (n,) whether a value was sent.
    """

    X: Floats
    score: Floats
    days: Integers
    sent: Mapping[int, Mask]

    def __len__(self) -> int:
        return len(self.score)


@dataclass(frozen=True, slots=True)
class _Weighed:
    """Everything measured about one column, nothing decided yet."""

    reference: ColumnReference
    counts: Integers
    distribution: Evidence
    quality: Mapping[Finding, tuple[Spread, Integers, Evidence]]


def check_drift(reference: Reference, window: Window, about: DriftReport) -> DriftReport:
    """`about`: what is known of the window already; the rest is filled in."""
    about = msgspec.structs.replace(
        about, rows=len(window), days=len(np.unique(window.days)), false_alarm_rate=FALSE_ALARM_RATE
    )
    if len(window) < FEWEST_ROWS:
        detail = f"{len(window)} decisions by this model in the window, {FEWEST_ROWS} are needed"
        return msgspec.structs.replace(about, status="too few decisions", detail=detail)
    weighed = list(_weigh_all(reference, window))
    found = _significant(weighed)
    *columns, score = [_decided(item, which) for item, which in zip(weighed, found, strict=True)]
    columns.sort(key=lambda column: (not column.findings, column.p_value))
    return _concluded(about, columns, score)


def benjamini_hochberg(p_values: Floats, rate: float) -> Mask:
    """(m,) true for the hypotheses to reject so that the false discovery rate is at most `rate`."""
    order = np.argsort(p_values)
    passes = p_values[order] <= rate * np.arange(1, len(order) + 1) / len(order)
    rejected = np.zeros(len(order), dtype=bool)
    rejected[order[: int(np.flatnonzero(passes).max(initial=-1)) + 1]] = True
    return rejected


def _weigh_all(reference: Reference, window: Window) -> Iterator[_Weighed]:
    # Without days in the reference one window is one block: what its rows have in common is not known.
    blocks = number_days(window.days) if reference.by_day else np.zeros(len(window), np.int64)
    sizes = np.bincount(blocks)
    for place, column in enumerate(reference.columns):
        yield _weigh(column, window.X[:, place], window.sent.get(place), sizes)
    yield _weigh(reference.score, window.score, None, sizes)


def _weigh(column: ColumnReference, values: Floats, is_sent: Mask | None, sizes: Integers) -> _Weighed:
    placed = column.bins.place(values, is_sent)
    counts = np.bincount(placed, minlength=column.bins.count)
    quality = {
        finding: (spread, seen, weigh(spread, seen, sizes))
        for finding, spread, flagged in _flags(column, values, is_sent)
        for seen in (tabulate(flagged.astype(np.int64), 2, np.zeros(len(flagged), np.int64))[0],)
    }
    return _Weighed(column, counts, weigh(column.spread, counts, sizes), quality)


def _flags(column: ColumnReference, values: Floats, is_sent: Mask | None) -> Iterator[tuple[Finding, Spread, Mask]]:
    yield "missing", column.missing, np.isnan(values) if is_sent is None else ~is_sent
    if column.unknown is not None and is_sent is not None:
        yield "unknown", column.unknown, np.isnan(values) & is_sent
    if column.outside is not None and isinstance(column.bins, NumberBins):
        yield "outside", column.outside, column.bins.is_outside(values)


def _significant(weighed: Sequence[_Weighed]) -> list[set[Finding]]:
    """Per column, the findings that are more than chance over all columns."""
    hypotheses: list[tuple[int, Finding, float]] = []
    for number, item in enumerate(weighed):
        hypotheses.append((number, "distribution", item.distribution.p_value))
        hypotheses += [(number, finding, evidence.p_value) for finding, (_, _, evidence) in item.quality.items()]
    rejected = benjamini_hochberg(np.array([p for _, _, p in hypotheses]), FALSE_ALARM_RATE)
    found: list[set[Finding]] = [set() for _ in weighed]
    for (number, finding, _), is_rejected in zip(hypotheses, rejected.tolist(), strict=True):
        if is_rejected:
            found[number].add(finding)
    return found


def _decided(item: _Weighed, significant: set[Finding]) -> ColumnDrift:
    quality = {finding: _quality_share(*measured) for finding, measured in item.quality.items()}
    findings: list[Finding] = []
    if "distribution" in significant and item.distribution.excess >= LARGE_INDEX:
        findings.append("distribution")
    findings += [
        finding
        for finding, share in quality.items()
        if finding in significant and share.window - share.reference >= LARGE_RISE[finding]
    ]
    return ColumnDrift(
        name=item.reference.name,
        psi=item.distribution.psi,
        expected_psi=item.distribution.expected_psi,
        p_value=item.distribution.p_value,
        importance=item.reference.importance,
        findings=findings,
        missing=quality["missing"],
        unknown=quality.get("unknown"),
        outside=quality.get("outside"),
        labels=_labels(item.reference),
        reference=shares(np.array(item.reference.spread.counts)).tolist(),
        window=shares(item.counts).tolist(),
    )


def _quality_share(spread: Spread, seen: Integers, evidence: Evidence) -> QualityShare:
    return QualityShare(spread.counts[1] / max(spread.rows, 1), float(seen[1] / seen.sum()), evidence.p_value)


def _labels(column: ColumnReference) -> list[str]:
    if isinstance(column.bins, CategoryBins):
        return [*(f"code {code}" for code in column.bins.codes), "other", "unknown", "missing"]
    edges = [f"{edge:.4g}" for edge in column.bins.edges]
    if not edges:
        return ["any", "missing"]
    return [
        f"< {edges[0]}",
        *(f"{a} .. {b}" for a, b in pairwise(edges)),
        f">= {edges[-1]}",
        "missing",
    ]


def _concluded(about: DriftReport, columns: list[ColumnDrift], score: ColumnDrift) -> DriftReport:
    importance = sum(column.importance for column in columns if column.is_drifting)
    found = [column for column in [*columns, score] if column.findings]
    is_strong = score.is_drifting or importance >= STRONG_IMPORTANCE
    status: Status = "strong" if is_strong else "drifting" if found else "stable"
    detail = "; ".join(f"{column.name}: {', '.join(column.findings)}" for column in found)
    return msgspec.structs.replace(
        about, status=status, detail=detail, score=score, columns=columns, importance_drifting=round(importance, 4)
    )
