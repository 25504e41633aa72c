"""The console's pages as its navigation lists them."""

from __future__ import annotations

from typing import Final, NamedTuple


class Link(NamedTuple):
    """One page. `name`: what a view calls itself; `icon`: a symbol in `templates/console/icons.html`."""

    name: str
    path: str
    title: str
    icon: str


NAVIGATION: Final = (
    Link("overview", "/console", "Overview", "pulse"),
    Link("decisions", "/console/decisions", "Decisions", "list"),
    Link("reviews", "/console/reviews", "Reviews", "eye"),
    Link("batches", "/console/batches", "Batches", "stack"),
)
