"""The dashboard Runbook: what fires, and docs/RUNBOOK.md, a panel for each alert: other panels link there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deploy.grafana.panel import Dashboard, Panel, Query, Row
from deploy.grafana.parts import NOTHING_FIRES
from deploy.prometheus.rule import RUNBOOK
from deploy.prometheus.rules import ALERTS

UID: Final = "tollgate-runbook"
_REPOSITORY: Final = Path(__file__).resolve().parents[2]
_FIRST_SECTION_ID: Final = 101
"""Panel ids of the sections: this and upwards, in the order of the rules."""

_FIRING: Final = Panel(
    "Firing now",
    "What fires? What to do stands below, under the alert's name.",
    (Query('max by (alertname, severity) (ALERTS{alertstate="firing"})'),),
    kind="table",
    width=24,
    height=6,
    empty=NOTHING_FIRES,
)


def section_id(alert: str) -> int:
    """The id of an alert's panel.

    Raises:
        ValueError: there is no such alert.
    """
    return _FIRST_SECTION_ID + [one.name for one in ALERTS].index(alert)


def address(alert: str) -> str:
    """Where an alert's section can be read, alone on the screen."""
    return f"/d/{UID}?viewPanel={section_id(alert)}"


def sections(text: str) -> dict[str, str]:
    """The sections of the runbook by alert, in Markdown whose links lead somewhere in Grafana, too."""
    parts = re.split(r"^### (Tollgate\w+)$", text, flags=re.MULTILINE)[1:]
    bodies = (re.split(r"^## ", body, flags=re.MULTILINE)[0].strip() for body in parts[1::2])
    return {name: _linked(body) for name, body in zip(parts[::2], bodies, strict=True)}


def _linked(body: str) -> str:
    """Links to other sections lead to their panels; of links to other pages their names are left."""
    linked = re.sub(r"\[(Tollgate\w+)\]\(#\w+\)", lambda found: f"[{found[1]}]({address(found[1])})", body)
    return re.sub(r"\[[^\]]*\]\(([\w-]+\.md)\)", r"`docs/\1`", linked)


def runbook(text: str) -> Dashboard:
    """The dashboard of a runbook's text."""
    return Dashboard(
        UID,
        "Tollgate: Runbook",
        "What fires, what does it mean, what to look at, what to do?",
        (Row("Now", (_FIRING,)), Row("What to do", tuple(_panels(sections(text))))),
    )


def _panels(by_alert: dict[str, str]) -> Iterator[Panel]:
    for alert in ALERTS:
        yield Panel(
            alert.name,
            f"{alert.severity}: fires after {alert.wait_s:g} s.",
            kind="text",
            width=12,
            height=9,
            content=by_alert[alert.name],
        )


def read_runbook() -> Dashboard:
    """The dashboard of docs/RUNBOOK.md."""
    return runbook((_REPOSITORY / RUNBOOK).read_text("utf-8"))
