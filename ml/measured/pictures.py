"""The picture of a replayed loop: each model's average precision, week by week, and what the gate decided."""

from __future__ import annotations

import io
from typing import Any, Final

from matplotlib.figure import Figure

from ml.measured.loop import GATED, NEWEST, STATIC
from ml.measured.streams import INCREMENTAL, Replayed

STYLES: Final[dict[str, dict[str, Any]]] = {
    STATIC: {"color": "0.5", "linestyle": "--"},
    NEWEST: {"color": "tab:orange", "linestyle": ":"},
    GATED: {"color": "tab:blue", "linewidth": 2},
    INCREMENTAL: {"color": "tab:green", "linestyle": "-."},
}


def plot_loop(replayed: Replayed, title: str) -> bytes:
    """A PNG. A filled mark: the gate promoted that week's challenger; a vertical line: the new fraud begins."""
    # Figure without pyplot: no global state, no display, safe on any thread.
    figure = Figure(figsize=(9, 3.8), dpi=100, layout="constrained")
    axes = figure.subplots()
    weeks = replayed.weeks
    dates = [_date(week.begins_s) for week in weeks]
    for name in weeks[0].average_precision:
        found = [week.average_precision.get(name, float("nan")) for week in weeks]
        axes.plot(dates, found, label=name, **STYLES.get(name, {}))
    promoted = [(date, week) for date, week in zip(dates, weeks, strict=True) if week.gate == "promote"]
    if promoted:
        places = [week.average_precision[GATED] for _, week in promoted]
        axes.plot([date for date, _ in promoted], places, "o", color="tab:blue", label="promoted by the gate")
    if replayed.drift_s is not None:
        axes.axvline(_date(replayed.drift_s), color="tab:red", label="a new kind of fraud")
    axes.set(title=title, xlabel="week that begins on", ylabel="average precision", ylim=(0, 1))
    axes.xaxis_date()
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="small")
    figure.autofmt_xdate()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _date(time_s: float) -> float:
    """As matplotlib counts: days since 1970."""
    return time_s / 86_400
