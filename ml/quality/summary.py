"""From cells to what people and dashboards see: figures with intervals, what is provisional, what was promised.

Plain Python: the web process calls it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal, get_args

import msgspec

from config.quality_measures import PROMISED
from ml.quality.cells import Cell, Dimension, Ratios, add_ratios, is_matured
from ml.quality.promise import falls_short
from ml.quality.ratio import Figure, mean, share

Grouping = Literal["day", "week", "model_version", "segment", "all"]
GROUPINGS: Final[tuple[Grouping, ...]] = get_args(Grouping)
DIMENSION_OF: Final[dict[Grouping, Dimension]] = {
    "day": "all", "week": "all", "model_version": "model_version", "segment": "segment", "all": "all",
}  # fmt: skip
Maturity = Literal["matured", "provisional", "mixed"]
Promises = Callable[[str], Mapping[str, Figure]]
"""Model version -> what it promised, by measure."""


class Part(msgspec.Struct, frozen=True):
    """The decisions of a group that are matured, or those that are not. A figure is None with nothing to divide by."""

    decisions: int
    labelled: int
    frauds: int
    fraud_amount: float
    measures: dict[str, Figure | None]


class Comparison(msgspec.Struct, frozen=True):
    """A promised figure and whether the matured live figure falls short: its whole interval is on the worse side."""

    promised: Figure
    is_below_promise: bool


class QualityGroup(msgspec.Struct, frozen=True, kw_only=True):
    """One line of live quality: a day, a week (its Monday), a model version, a segment, or all.

    `matured`: decisions old enough that their labels would be here. `provisional`: younger ones, as known so far: its
    frauds, and so precision, can only rise. `estimate`: the younger ones again, with the labels that are still on
    their way counted by the label delay; None where it is too early to say. `promise`: of the model version that made
    the most decisions (`promised_by`).
    """

    group: str
    maturity: Maturity
    decisions: int
    explored: int
    matured: Part | None
    provisional: Part | None
    estimate: dict[str, Figure | None] | None
    promised_by: str | None
    promise: dict[str, Comparison]
    is_below_promise: bool


def summarise(
    cells: Sequence[Cell],
    by: Grouping,
    *,
    delay_s: float,
    now: datetime,
    promises: Promises,
    versions: Iterable[Cell] = (),
) -> list[QualityGroup]:
    """One line per group, in order of its name. `cells`: of the dimension that `by` needs.

    `versions`: the cells by model version of the same days, which say whose promise a day or week is held to.
    """
    deciders: defaultdict[str, Counter[str]] = defaultdict(Counter)
    if by in ("day", "week", "all"):
        for cell in versions:
            deciders[_group(cell, by)][cell.value] += cell.decisions
    groups: defaultdict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[_group(cell, by)].append(cell)
    return [
        _line(
            name,
            groups[name],
            delay_s=delay_s,
            now=now,
            promised_by=_decider(name, by, deciders[name]),
            promises=promises,
        )
        for name in sorted(groups)
    ]


def figure(measure: str, ratios: Ratios) -> Figure | None:
    """One measure with its interval."""
    return (mean if measure == "cost" else share)(ratios[measure])


def _group(cell: Cell, by: Grouping) -> str:
    if by == "day":
        return cell.day
    if by == "week":
        day = date.fromisoformat(cell.day)
        return (day - timedelta(days=min(day.weekday(), day.toordinal() - 1))).isoformat()
    return by if by == "all" else cell.value


def _decider(group: str, by: Grouping, counts: Counter[str]) -> str | None:
    if by == "model_version":
        return group
    return max(counts, key=lambda version: counts[version]) if counts else None


def _line(
    name: str, cells: Sequence[Cell], *, delay_s: float, now: datetime, promised_by: str | None, promises: Promises
) -> QualityGroup:
    matured = [cell for cell in cells if is_matured(cell.day, delay_s, now)]
    young = [cell for cell in cells if not is_matured(cell.day, delay_s, now)]
    part = _part(matured)
    compared = _compared(part, promises(promised_by)) if part and promised_by else {}
    return QualityGroup(
        group=name,
        maturity="mixed" if matured and young else "matured" if matured else "provisional",
        decisions=sum(cell.decisions for cell in cells),
        explored=sum(cell.explored for cell in cells),
        matured=part,
        provisional=_part(young),
        estimate=_estimate(young),
        promised_by=promised_by,
        promise=compared,
        is_below_promise=any(item.is_below_promise for item in compared.values()),
    )


def _part(cells: Sequence[Cell]) -> Part | None:
    if not cells:
        return None
    ratios = add_ratios(cell.measures for cell in cells)
    return Part(
        decisions=sum(cell.decisions for cell in cells),
        labelled=sum(cell.labelled for cell in cells),
        frauds=sum(cell.frauds for cell in cells),
        fraud_amount=sum(cell.fraud_amount for cell in cells),
        measures={name: figure(name, ratios) for name in ratios},
    )


def _estimate(cells: Sequence[Cell]) -> dict[str, Figure | None] | None:
    """Over those days that can be estimated; days that began too recently are left out."""
    ratios = add_ratios(cell.estimates for cell in cells if cell.estimates is not None)
    return {name: figure(name, ratios) for name in ratios} or None


def _compared(part: Part, promised: Mapping[str, Figure]) -> dict[str, Comparison]:
    compared: dict[str, Comparison] = {}
    for name in PROMISED:
        live = part.measures.get(name)
        if live is not None and name in promised:
            compared[name] = Comparison(promised[name], falls_short(name, live, promised[name]))
    return compared
