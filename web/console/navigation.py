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
    Link("models", "/console/models", "Models", "cube"),
    Link("quality", "/console/quality", "Quality", "target"),
    Link("thresholds", "/console/thresholds", "Thresholds", "sliders"),
    Link("drift", "/console/drift", "Drift", "drift"),
    Link("operations", "/console/operations", "Operations", "wrench"),
)
