"""The picture of a drift report: which columns moved, and how the ones least likely by chance look now. A PNG."""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from ml.drift.check import LARGE_INDEX
from ml.drift.report import ColumnDrift, DriftReport

BARS: Final = 18
SHOWN: Final = 6
_REFERENCE, _WINDOW, _ALARM = "0.65", "tab:blue", "tab:red"


def plot_drift(report: DriftReport) -> bytes:
    """The index of the columns that moved most, and the distributions of the score and of the first few of them.

    Raises ValueError: the report has no columns, since nothing was compared.
    """
    if report.score is None:
        raise ValueError(f"nothing was compared: {report.detail}")
    # Figure without pyplot: no global state, no display, safe on any thread.
    figure = Figure(figsize=(13, 7), dpi=100, layout="constrained")
    figure.suptitle(f"{report.model_version}: {report.status}, {report.rows:,} decisions until {report.until}")
    left, right = np.asarray(figure.subfigures(1, 2, width_ratios=(1, 2)))
    _plot_indices(left.subplots(), [report.score, *report.columns[:BARS]])
    small = right.subplots(2, 3).ravel()
    for axes, column in zip(small, [report.score, *report.columns[: SHOWN - 1]], strict=False):
        _plot_column(axes, column)
    for axes in small[1 + len(report.columns) :]:
        axes.set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _plot_indices(axes: Any, columns: list[ColumnDrift]) -> None:
    places = np.arange(len(columns))[::-1]
    colours = [_ALARM if column.findings else _WINDOW for column in columns]
    axes.barh(places, [column.psi for column in columns], color=colours)
    axes.scatter([column.expected_psi for column in columns], places, color="black", marker="|", label="by chance")
    # A weekday seen alone has an index of 4 by chance: it must not squeeze all others.
    axes.set_xlim(0, min(1.0, max(0.3, *(column.psi for column in columns))))
    axes.axvline(LARGE_INDEX, color="0.6", linestyle="--", label="large, above chance")
    axes.set_yticks(places, [_short(column.name) for column in columns], fontsize=8)
    axes.set_title("population stability index", fontsize=10)
    axes.legend(fontsize=8, loc="lower right")


def _plot_column(axes: Any, column: ColumnDrift) -> None:
    places = np.arange(len(column.labels))
    axes.bar(places - 0.2, column.reference, 0.4, color=_REFERENCE, label="training")
    axes.bar(places + 0.2, column.window, 0.4, color=_ALARM if column.findings else _WINDOW, label="now")
    axes.set_xticks(places, [_short(label) for label in column.labels], rotation=60, ha="right", fontsize=6)
    axes.set_title(f"{_short(column.name)}: {column.psi:.3f}", fontsize=9)
    axes.legend(fontsize=7)


def _short(text: str, most: int = 28) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
