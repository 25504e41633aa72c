"""Markdown tables and the numbers in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from deploy.bench.results import Spread


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are figures; empty without rows."""
    lines = [_line(row) for row in rows]
    if not lines:
        return ""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join([_line(header), _line(rule), *lines])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def number(value: float) -> str:
    """Three significant digits, thousands separated: 0.412, 5.63, 41.2, 4,120."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def spread(values: Spread | None) -> str:
    """The median, and smallest to largest where they differ: "412 (398-430)"."""
    if values is None:
        return "-"
    low, middle, high = (number(value) for value in (values.low, values.middle, values.high))
    return middle if low == high else f"{middle} ({low}-{high})"
