"""The picture of a backtest: money over time, alerts a day, what swapped, and how good both sides are. PNG or SVG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import date
from typing import Any, Final, Literal

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from ml.backtest.report import MEASURES, Backtest, DayLine, SwapSet
from ml.quality.ratio import Figure as Sure

_BEFORE, _AFTER, _GAIN, _LOSS = "0.55", "tab:blue", "tab:green", "tab:red"
_SHOWN: Final = [name for name in MEASURES if name not in ("alert_rate", "false_positive_rate")]


def plot_backtest(found: Backtest, *, kind: Literal["png", "svg"]) -> bytes:
    """Four views of one backtest."""
    # Figure without pyplot: no global state, no display, safe on any thread.
    figure = Figure(figsize=(13, 8.5), dpi=110, layout="constrained")
    provisional = " (provisional)" if found.is_provisional else ""
    figure.suptitle(f"{found.trial}\n{found.decisions:,} decisions, {found.since} to {found.until}{provisional}")
    (money, alerts), (swaps, measures) = figure.subplots(2, 2, width_ratios=(3, 2))
    _plot_money(money, found)
    _plot_alerts(alerts, found)
    _plot_swaps(swaps, found.swaps)
    _plot_measures(measures, found)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind)
    return buffer.getvalue()


def _plot_money(axes: Any, found: Backtest) -> None:
    """What is saved, added up, and each day's part."""
    days, saves = _dates(found.days), np.array([line.saves for line in found.days])
    axes.bar(days, saves, color=np.where(saves < 0, _LOSS, _GAIN), alpha=0.45, label="that day")
    axes.plot(days, np.cumsum(saves), color=_AFTER, linewidth=1.8, label="added up")
    axes.axhline(0, color="0.3", linewidth=0.8)
    sure = found.saves_per_day
    axes.set_title(f"saves {sure.value:,.0f} a day ({sure.low:,.0f} to {sure.high:,.0f})", fontsize=10)
    axes.set_ylabel("money saved")
    axes.legend(fontsize=8)
    _date_axis(axes, found.days)


def _plot_alerts(axes: Any, found: Backtest) -> None:
    days = _dates(found.days)
    for name, colour, side in (("before", _BEFORE, found.before), ("after", _AFTER, found.after)):
        label = f"{name}: {side.reviews_per_day.value:,.1f} reviews, {side.declines_per_day.value:,.1f} declines"
        counts = [getattr(line, f"alerts_{name}") for line in found.days]
        axes.step(days, counts, where="mid", color=colour, label=label)
    axes.set_ylim(0)
    axes.set_title("alerts a day", fontsize=10)
    axes.legend(fontsize=8)
    _date_axis(axes, found.days)


def _plot_swaps(axes: Any, swaps: Sequence[SwapSet]) -> None:
    """Frauds to the left, good payments to the right: what milder and stricter treatment was given to."""
    axes.set_title("decisions that would be others: frauds | good payments", fontsize=10)
    if not swaps:
        axes.text(0.5, 0.5, "none", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    places = np.arange(len(swaps))[::-1]
    frauds = np.array([swap.frauds for swap in swaps])
    good = np.array([max(swap.decisions - swap.frauds, 0.0) for swap in swaps])
    axes.barh(places, -frauds, color=_LOSS, alpha=0.7)
    axes.barh(places, good, color=_BEFORE)
    axes.axvline(0, color="0.3", linewidth=0.8)
    _room(axes, frauds, good)
    for place, swap, left, right in zip(places, swaps, frauds, good, strict=True):
        axes.text(right, place, f" {right:,.0f}   saves {swap.saves:,.0f}", va="center", fontsize=8)
        axes.text(-left, place, f"{left:,.0f} ", va="center", ha="right", fontsize=8)
    axes.set_yticks(places, [f"{swap.before} → {swap.after}" for swap in swaps], fontsize=9)
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def _room(axes: Any, frauds: Any, good: Any) -> None:
    """Space for the numbers beside the bars; rare frauds stay visible beside many good payments."""
    widest = float(max(good.max(), frauds.max(), 1.0))
    axes.set_xlim(-max(float(frauds.max()), 0.05 * widest) - 0.12 * widest, float(good.max()) + 0.45 * widest)


def _plot_measures(axes: Any, found: Backtest) -> None:
    places = np.arange(len(_SHOWN))[::-1]
    for shift, name, colour, side in ((0.14, "before", _BEFORE, found.before), (-0.14, "after", _AFTER, found.after)):
        figures = [side.measures[measure] for measure in _SHOWN]
        known = [(place + shift, one) for place, one in zip(places, figures, strict=True) if one is not None]
        _dots(axes, known, colour, name)
    axes.set_yticks(places, [measure.replace("_", " ") for measure in _SHOWN], fontsize=9)
    axes.set_xlim(0, 1)
    axes.grid(axis="x", alpha=0.3)
    axes.set_title("with 95% intervals", fontsize=10)
    axes.legend(fontsize=8, loc="best")


def _dots(axes: Any, known: Sequence[tuple[float, Sure]], colour: str, name: str) -> None:
    if not known:
        return
    values = np.array([one.value for _, one in known])
    spread = np.abs(np.array([[one.low, one.high] for _, one in known]).T - values)
    axes.errorbar(values, [place for place, _ in known], xerr=spread, fmt="o", color=colour, capsize=3, label=name)


def _dates(days: Sequence[DayLine]) -> list[date]:
    return [date.fromisoformat(line.day) for line in days]


def _date_axis(axes: Any, days: Sequence[DayLine]) -> None:
    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]  # no types there
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.grid(alpha=0.25)
    young = [date.fromisoformat(line.day) for line in days if not line.is_matured]
    if young:
        axes.axvspan(min(young), max(young), color="tab:orange", alpha=0.12, label="labels still arriving")
