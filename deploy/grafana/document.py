"""A declared dashboard as the JSON document that Grafana reads: layout, variables, annotations, links."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from deploy.grafana.drawing import SOURCE, Json, drawn, link
from deploy.grafana.panel import COLUMNS, Dashboard, Panel, Row, Variable
from deploy.grafana.runbook import UID as RUNBOOK_UID
from deploy.grafana.runbook import section_id

SCHEMA_VERSION: Final = 42
TAG: Final = "tollgate"

ANNOTATIONS: Final = (
    (
        "Alerts",
        "red",
        'max by (alertname, severity) (ALERTS{alertstate="firing"})',
        "{{alertname}}",
    ),
    (
        "Promotions",
        "purple",
        "max by (model_version) (tollgate_champion_info == 1)"
        " unless on (model_version) (tollgate_champion_info offset 1m == 1)",
        "champion: {{model_version}}",
    ),
    (
        "Reloads",
        "blue",
        "sum by (result) (increase(tollgate_model_reloads_total[1m])) > 0",
        "model loaded: {{result}}",
    ),
    (
        "Guard",
        "orange",
        "sum by (action) (increase(tollgate_guard_actions_total[1m])) > 0",
        "guard: {{action}}",
    ),
)
"""What is marked on every graph: name, colour, query, words."""


def document(dashboard: Dashboard) -> Json:
    """The whole document. It has no id: Grafana finds a dashboard by its uid."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.answers,
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": dashboard.refresh,
        "time": {"from": f"now-{dashboard.since}", "to": "now"},
        "templating": {"list": [_variable(one) for one in dashboard.variables]},
        "annotations": {"list": [_annotation(*one) for one in ANNOTATIONS]},
        "links": [_other_dashboards(), link("Runbook", f"/d/{RUNBOOK_UID}")],
        "panels": [*_placed(dashboard)],
    }


def _placed(dashboard: Dashboard) -> Iterator[Json]:
    """Every row's heading and panels, from the top down."""
    number, top = 1, 0
    for row in dashboard.rows:
        yield _heading(row, number, top)
        number, top = number + 1, top + 1
        for panel, place in _places(row, top):
            is_section = dashboard.uid == RUNBOOK_UID and panel.kind == "text"
            yield drawn(panel, number=section_id(panel.title) if is_section else number, place=place)
            number, bottom = number + 1, place["y"] + place["h"]
        top = bottom


def _heading(row: Row, number: int, top: int) -> Json:
    place = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
    return {"id": number, "type": "row", "title": row.title, "collapsed": False, "gridPos": place, "panels": []}


def _places(row: Row, top: int) -> Iterator[tuple[Panel, Json]]:
    """Panels from left to right; one that does not fit begins a new line."""
    left, height = 0, 0
    for panel in row.panels:
        if left + panel.width > COLUMNS:
            left, top, height = 0, top + height, 0
        yield panel, {"x": left, "y": top, "w": panel.width, "h": panel.height}
        left, height = left + panel.width, max(height, panel.height)


def _variable(variable: Variable) -> Json:
    query = f"label_values({variable.metric}, {variable.label})"
    return {
        "type": "query",
        "name": variable.name,
        "label": variable.title,
        "datasource": SOURCE,
        "query": query,
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _annotation(name: str, colour: str, expression: str, words: str) -> dict[str, Any]:
    return {
        "name": name,
        "enable": True,
        "iconColor": colour,
        "datasource": SOURCE,
        "expr": expression,
        "step": "15s",
        "titleFormat": words,
    }


def _other_dashboards() -> Json:
    return {**link("Dashboards", ""), "type": "dashboards", "tags": [TAG], "asDropdown": True, "targetBlank": False}
