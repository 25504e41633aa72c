"""How a metric is declared: name, kind, labels with the values they may take, unit, who exports it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]
Source = Literal["web", "scoring", "bulk", "background", "shared state", "ledger"]
"""Who knows it. What the shared state and the ledger know is read by the web process that is scraped."""

NOTHING: Final = "none"
"""The value of an open label while there is nothing that it could name; its series is 0."""

WORKERS: tuple[Source, ...] = ("scoring", "bulk", "background")


@dataclass(frozen=True, slots=True)
class Label:
    """One label: its `values`, all of which are exported from the first scrape; or at most `most`, said in words.

    Nothing that a client sends is ever a value.
    """

    name: str
    values: tuple[str, ...] = ()
    most: int = 0
    words: str = ""

    @property
    def bound(self) -> int:
        """The most values that it can have."""
        return len(self.values) or self.most


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as it is exported: a counter's name ends in `_total`. `buckets`: upper bounds of a histogram."""

    name: str
    kind: Kind
    help_text: str
    sources: tuple[Source, ...]
    labels: tuple[Label, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names of its labels in order."""
        return tuple(label.name for label in self.labels)

    @property
    def most_series(self) -> int:
        """The most label combinations that it can have."""
        return prod(label.bound for label in self.labels)

    def declared(self) -> Iterator[tuple[str, ...]]:
        """The label combinations that exist before anything happened: all of them, or none where one is open."""
        yield from product(*(label.values for label in self.labels))
