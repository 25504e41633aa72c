"""How a dashboard is declared: what each panel answers, what it asks Prometheus, where the line to red is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["timeseries", "stat", "bargauge", "table", "heatmap", "state-timeline", "text"]
Colour = Literal["green", "orange", "red", "blue", "purple"]
Words = tuple[tuple[int, str, Colour], ...]
"""What a value is called, and its colour."""

COLUMNS: Final = 24
"""The width of a dashboard, in Grafana's grid."""

INSTANT: Final[frozenset[Kind]] = frozenset({"stat", "bargauge", "table"})
"""Kinds that show one moment: the newest value, without a history."""


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL query. `legend` may hold labels: `{{queue}}`; "" where the panel's title says it all.

    `empty`: when it rightly finds nothing, where that is not what the panel says.
    """

    expression: str
    legend: str = ""
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """From `value` upwards a panel has this colour. Below the first step it is green."""

    value: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    `answers`: the question that it settles, in one sentence or two; Grafana shows it at the title. `unit`: in
    Grafana's words. `alerts`: what fires when this goes wrong; each becomes a link into the runbook. `empty`: when
    it rightly shows nothing; it says so then. `colours`: by legend. `lowest`: its colour below the first step.
    `has_band`: the series `low` and `high` are drawn as an area. `content`: Markdown, of a text.
    """

    title: str
    answers: str
    queries: tuple[Query, ...] = ()
    kind: Kind = "timeseries"
    unit: str = "short"
    width: int = 8
    height: int = 8
    steps: tuple[Step, ...] = ()
    lowest: Colour = "green"
    alerts: tuple[str, ...] = ()
    empty: str = ""
    colours: tuple[tuple[str, Colour], ...] = ()
    is_stacked: bool = False
    has_band: bool = False
    words: Words = ()
    content: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading, placed from left to right."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice above the panels: the values of `label` of `metric`, all of them unless chosen."""

    name: str
    title: str
    metric: str
    label: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One page. `uid` is its address, `/d/{uid}`; `since`: the time that it shows first, until now."""

    uid: str
    title: str
    answers: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()
    since: str = "1h"
    refresh: str = "10s"


def stat(
    title: str,
    answers: str,
    expression: str,
    *,
    unit: str = "short",
    steps: tuple[Step, ...] = (),
    lowest: Colour = "green",
    alerts: tuple[str, ...] = (),
    empty: str = "",
    words: Words = (),
) -> Panel:
    """A number on its colour, eight of which fill a row."""
    return Panel(
        title,
        answers,
        (Query(expression),),
        kind="stat",
        unit=unit,
        width=3,
        height=4,
        steps=steps,
        lowest=lowest,
        alerts=alerts,
        empty=empty,
        words=words,
    )
