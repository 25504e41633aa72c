"""A declared panel as Grafana's JSON: its kind's options, units, colours, thresholds, links."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from deploy.grafana.panel import INSTANT, Kind, Panel, Query
from deploy.grafana.runbook import address

Json = dict[str, Any]
SOURCE: Final[Json] = {"type": "prometheus", "uid": "prometheus"}
"""The data source of provisioning/datasources/prometheus.yml."""

_LEGEND: Final[Json] = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
_TOOLTIP: Final[Json] = {"mode": "multi", "sort": "desc"}
_NEWEST: Final[Json] = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_OPTIONS: Final[Mapping[Kind, Json]] = {
    "timeseries": {"legend": _LEGEND, "tooltip": _TOOLTIP},
    "stat": {
        "graphMode": "none",
        "colorMode": "background",
        "justifyMode": "auto",
        "textMode": "value",
        "wideLayout": True,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
        "orientation": "auto",
        "reduceOptions": _NEWEST,
    },
    "bargauge": {
        "displayMode": "basic",
        "valueMode": "color",
        "namePlacement": "left",
        "showUnfilled": True,
        "sizing": "auto",
        "minVizWidth": 8,
        "minVizHeight": 10,
        "maxVizHeight": 300,
        "legend": {**_LEGEND, "showLegend": False},
        "reduceOptions": _NEWEST,
        "orientation": "horizontal",
    },
    "table": {"frameIndex": 0, "showHeader": True, "cellHeight": "sm"},
    "heatmap": {
        "calculate": False,
        "cellGap": 1,
        "color": {
            "mode": "scheme",
            "scheme": "Blues",
            "fill": "dark-blue",
            "scale": "exponential",
            "exponent": 0.5,
            "steps": 64,
            "reverse": False,
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": False},
    },
    "state-timeline": {
        "showValue": "auto",
        "rowHeight": 0.8,
        "mergeValues": True,
        "alignValue": "left",
        "legend": {**_LEGEND, "showLegend": False},
        "tooltip": {"mode": "single", "sort": "none"},
    },
}


def drawn(panel: Panel, *, number: int, place: Json) -> Json:
    """The panel. `number`: its id, unique in its dashboard; `place`: where it is in the grid."""
    head = {"id": number, "type": panel.kind, "title": panel.title, "description": panel.answers, "gridPos": place}
    if panel.kind == "text":
        return {**head, "options": {"mode": "markdown", "content": panel.content}}
    return {
        **head,
        "datasource": SOURCE,
        "targets": [_target(panel.kind, query, "ABCDEFGH"[i]) for i, query in enumerate(panel.queries)],
        "options": _options(panel),
        "fieldConfig": {"defaults": _defaults(panel), "overrides": [*_overrides(panel)]},
        "transformations": _NO_TIME_OR_VALUE if panel.kind == "table" else [],
        "links": [link(f"Runbook: {alert}", address(alert)) for alert in panel.alerts],
    }


_NO_TIME_OR_VALUE: Final[list[Json]] = [{"id": "organize", "options": {"excludeByName": {"Time": True, "Value": True}}}]


def link(title: str, url: str) -> Json:
    """A link within Grafana, in a tab of its own: who follows it at night keeps the page that is red."""
    return {
        "title": title,
        "type": "link",
        "url": url,
        "icon": "doc",
        "tooltip": "",
        "tags": [],
        "asDropdown": False,
        "targetBlank": True,
        "includeVars": False,
        "keepTime": False,
    }


def _target(kind: Kind, query: Query, ref: str) -> Json:
    is_instant = kind in INSTANT
    return {
        "refId": ref,
        "datasource": SOURCE,
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
        "format": kind if kind in ("table", "heatmap") else "time_series",
        "instant": is_instant,
        "range": not is_instant,
        "editorMode": "code",
    }


def _options(panel: Panel) -> Json:
    options = _OPTIONS[panel.kind]
    return {**options, "yAxis": {"axisPlacement": "left", "unit": panel.unit}} if panel.kind == "heatmap" else options


def _defaults(panel: Panel) -> Json:
    steps = [{"value": None, "color": panel.lowest}, *({"value": s.value, "color": s.colour} for s in panel.steps)]
    defaults: Json = {
        "unit": panel.unit,
        "color": {"mode": _colour_mode(panel)},
        "thresholds": {"mode": "absolute", "steps": steps},
        "custom": _custom(panel),
        "mappings": [*_mappings(panel)],
    }
    if panel.empty:
        defaults["noValue"] = f"nothing {panel.empty}"
    return defaults


def _colour_mode(panel: Panel) -> str:
    return "thresholds" if panel.kind in INSTANT or panel.words else "palette-classic"


def _lines(panel: Panel) -> Json:
    return {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 40 if panel.is_stacked else 8,
        "showPoints": "auto",
        "spanNulls": False,
        "axisSoftMin": 0,
        "stacking": {"mode": "normal" if panel.is_stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if panel.steps else "off"},
    }


def _custom(panel: Panel) -> Json:
    return _lines(panel) if panel.kind == "timeseries" else _CUSTOM.get(panel.kind, {})


_CUSTOM: Final[Mapping[Kind, Json]] = {
    "state-timeline": {"lineWidth": 0, "fillOpacity": 70},
    "table": {"align": "auto", "inspect": False},
}


def _mappings(panel: Panel) -> Iterator[Json]:
    for value, word, colour in panel.words:
        yield {"type": "value", "options": {str(value): {"text": word, "color": colour, "index": value}}}


def _overrides(panel: Panel) -> Iterator[Json]:
    for name, colour in panel.colours:
        yield _override(name, color={"mode": "fixed", "fixedColor": colour})
    if panel.has_band:
        yield _override("high", **{"custom.fillBelowTo": "low", "custom.lineWidth": 0})
        yield _override("low", **{"custom.lineWidth": 0, "custom.fillOpacity": 0})


def _override(name: str, **properties: Any) -> Json:
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }
