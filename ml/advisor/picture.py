"""The picture of advice on thresholds: what each threshold costs, finds and asks of people. PNG or SVG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure

from ml.advisor.advice import Advice, Point
from ml.advisor.report import ThresholdReport

_COST, _FOUND, _ALERTS, _NOW = "tab:blue", "tab:green", "tab:orange", "0.4"


def plot_advice(report: ThresholdReport, *, kind: Literal["png", "svg"]) -> bytes:
    """The curves over the review and the decline threshold, side by side.

    Raises ValueError: the report has no advice.
    """
    if report.advice is None:
        raise ValueError("; ".join(report.notes))
    # Figure without pyplot: no global state, no display, safe on any thread.
    figure = Figure(figsize=(12, 8), dpi=110, layout="constrained")
    figure.suptitle(
        f"{report.model_version or 'all models'}: {report.decisions:,} decisions, {report.frauds:,.0f} frauds, "
        f"{report.since} to {report.until}"
    )
    axes = np.asarray(figure.subplots(3, 2, sharex="col", height_ratios=(3, 2, 2)))
    advice = report.advice
    _plot_axis(axes[:, 0], advice.review_curve, advice, "review")
    _plot_axis(axes[:, 1], advice.decline_curve, advice, "decline")
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind)
    return buffer.getvalue()


def _plot_axis(axes: Any, curve: Sequence[Point], advice: Advice, name: Literal["review", "decline"]) -> None:
    cost, found, alerts = axes
    x = [point.threshold for point in curve]
    cost.plot(x, [point.cost_per_day for point in curve], color=_COST)
    _shade(cost, curve)
    cost.set_ylabel("cost a day")
    cost.set_title(f"{name} from … (the other one as advised)", fontsize=10)
    found.plot(x, [point.recall for point in curve], color=_FOUND, label="recall")
    found.plot(x, [point.precision for point in curve], color=_FOUND, linestyle="--", label="precision")
    found.set_ylim(0, 1.02)
    found.set_ylabel("at or above")
    found.legend(fontsize=8)
    alerts.plot(x, [point.alerts_per_day for point in curve], color=_ALERTS)
    alerts.set_yscale("log")
    alerts.yaxis.set_major_formatter("{x:g}")
    alerts.set_ylabel("alerts a day" if name == "review" else "declines a day")
    alerts.set_xlabel(f"{name} threshold")
    for one in axes:
        _mark(one, getattr(advice.best, name), None if advice.current is None else getattr(advice.current, name))
    cost.legend(fontsize=8)


def _shade(axes: Any, curve: Sequence[Point]) -> None:
    """Where the difference to the advice may be chance."""
    equal = [point.threshold for point in curve if point.is_as_good]
    if len(equal) > 1:
        axes.axvspan(min(equal), max(equal), color=_COST, alpha=0.12, label="as good, within chance")
    beyond = [point.threshold for point in curve if not point.has_reviewers]
    if beyond:
        axes.axvspan(min(beyond), max(beyond), color="0.5", alpha=0.12, label="more than reviewers manage")


def _mark(axes: Any, best: float, now: float | None) -> None:
    axes.set_xscale("logit")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.grid(alpha=0.25)
    axes.axvline(best, color=_COST, linewidth=1.2, label=f"advised {best:.4g}")
    if now is not None and 0 < now < 1:
        axes.axvline(now, color=_NOW, linestyle=":", linewidth=1.2, label=f"in force {now:.4g}")
