"""The shapes of PromQL that panels share. `$__rate_interval` is Grafana's: four scrapes, or a pixel if that is more."""

from __future__ import annotations

from typing import Final

WINDOW: Final = "$__rate_interval"
PREDICT: Final = 'endpoint="/predict"'


def rate(metric: str, *by: str, where: str = "") -> str:
    """What a counter grows by in a second, summed over processes.

    >>> rate("tollgate_rows_total", "outcome")
    'sum by (outcome) (rate(tollgate_rows_total[$__rate_interval]))'
    """
    return f"sum {_by(by)}(rate({_selected(metric, where)}[{WINDOW}]))"


def grown(metric: str, *by: str, where: str = "", window: str = WINDOW) -> str:
    """What a counter grows by in a window, summed over processes."""
    return f"sum {_by(by)}(increase({_selected(metric, where)}[{window}]))"


def quantile(which: float, histogram: str, *by: str, where: str = "") -> str:
    """A quantile of a histogram, over all processes."""
    return f"histogram_quantile({which:g}, {rate(f'{histogram}_bucket', 'le', *by, where=where)})"


def mean(histogram: str) -> str:
    """The mean of what a histogram observed."""
    return f"{rate(f'{histogram}_sum')} / {rate(f'{histogram}_count')}"


def newest(gauge: str, *by: str, where: str = "") -> str:
    """A gauge of the shared state, which every web process that is scraped tells: the highest of them."""
    return f"max {_by(by)}({_selected(gauge, where)})"


def buckets(histogram: str, where: str = "") -> str:
    """The buckets of a histogram for a heat map: what fell into each between two points."""
    return grown(f"{histogram}_bucket", "le", where=where)


def _selected(metric: str, where: str) -> str:
    return f"{metric}{{{where}}}" if where else metric


def _by(labels: tuple[str, ...]) -> str:
    return f"by ({', '.join(labels)}) " if labels else ""
