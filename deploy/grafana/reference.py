"""docs/dashboards.md, written from the dashboards: `python -m deploy.grafana.reference > docs/dashboards.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from deploy.grafana.dashboards import MEASURED
from deploy.grafana.panel import Dashboard, Panel

HEAD: Final = """# Dashboards

What each panel answers. This page is generated: `python -m deploy.grafana.reference > docs/dashboards.md`. What to look
at first and what was tested: [operations.md](operations.md#dashboards). Alerts are links into [RUNBOOK.md](RUNBOOK.md),
which Grafana has too, as the dashboard `Tollgate: Runbook` (`/d/tollgate-runbook`).
"""


def reference() -> str:
    """The whole page."""
    return HEAD + "".join(_section(dashboard) for dashboard in MEASURED)


def _section(dashboard: Dashboard) -> str:
    choices = ", ".join(variable.title.lower() for variable in dashboard.variables)
    chosen = f" One can choose: {choices}." if choices else ""
    lines = [f"\n## {dashboard.title.partition(': ')[2]}\n", f"`/d/{dashboard.uid}`. {dashboard.answers}{chosen}\n"]
    return "\n".join([*lines, "| panel | answers | alerts |", "|---|---|---|", *_rows(dashboard)]) + "\n"


def _rows(dashboard: Dashboard) -> Iterator[str]:
    for row in dashboard.rows:
        yield f"| **{row.title}** | | |"
        for panel in row.panels:
            yield f"| {panel.title} | {_answers(panel)} | {_alerts(panel)} |"


def _answers(panel: Panel) -> str:
    return f"{panel.answers} Empty {panel.empty}." if panel.empty else panel.answers


def _alerts(panel: Panel) -> str:
    return ", ".join(f"[{alert}](RUNBOOK.md#{alert.lower()})" for alert in panel.alerts)


if __name__ == "__main__":
    sys.stdout.write(reference())
