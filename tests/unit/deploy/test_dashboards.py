"""The dashboards: the files are what is declared, Grafana can read them, and nothing in them leads nowhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from config.metrics.catalogue import CATALOGUE, series_names
from deploy.grafana.dashboards import DIRECTORY, MEASURED, files
from deploy.grafana.document import document
from deploy.grafana.drawing import SOURCE
from deploy.grafana.panel import COLUMNS, Dashboard
from deploy.grafana.reference import reference
from deploy.grafana.runbook import UID, address, read_runbook
from deploy.prometheus.recording import RECORDINGS
from deploy.prometheus.rule import Times
from deploy.prometheus.rules import ALERTS
from tests.dashboard_queries import CELERY, NOT_METRICS, asked
from tests.deployment_files import REPOSITORY, load_compose

SCHEMAS = REPOSITORY / "tests" / "vendor" / "grafana-schema"
ALL: tuple[Dashboard, ...] = (*MEASURED, read_runbook())
DOCUMENTS = {dashboard.uid: document(dashboard) for dashboard in ALL}
each_document = pytest.mark.parametrize("written", DOCUMENTS.values(), ids=[*DOCUMENTS])
CUSTOM = {"timeseries": "GraphFieldConfig", "table": "TableFieldOptions"}
"""What the schemas call a kind's settings per series."""
Json = dict[str, Any]


def schema(kind: str) -> Json:
    loaded: Json = json.loads((SCHEMAS / f"{kind.replace('-', '')}.jsonschema.json").read_text("utf-8"))
    # "Any value" is written as "any object" there, but byName takes a string, and a line width is a number.
    for definition, field in (("MatcherConfig", "options"), ("DynamicConfigValue", "value")):
        if definition in loaded["definitions"]:
            loaded["definitions"][definition]["properties"][field] = {}
    return loaded


def check(value: object, definition: str, kind: str) -> None:
    """`value` is what Grafana's schema of `kind` says under `definition`."""
    jsonschema.Draft7Validator({**schema(kind), "$ref": f"#/definitions/{definition}"}).validate(value)


def panels(written: Json) -> Iterator[Json]:
    yield from (panel for panel in written["panels"] if panel["type"] != "row")


def provisioned(kind: str, name: str) -> Any:
    return yaml.safe_load((DIRECTORY.parent / "provisioning" / kind / name).read_text("utf-8"))


def test_the_files_are_the_declared_dashboards_and_no_others() -> None:
    wanted = dict(files())

    assert {path: path.read_text("utf-8") for path in DIRECTORY.iterdir()} == wanted


def test_the_page_about_dashboards_is_what_they_declare() -> None:
    assert (REPOSITORY / "docs" / "dashboards.md").read_text("utf-8") == reference()


@each_document
def test_grafanas_schema_accepts_the_dashboard_and_each_panel(written: Json) -> None:
    check(written, "Dashboard", "dashboard")
    for panel in panels(written):
        check(panel["options"], "Options", panel["type"])
        custom = panel.get("fieldConfig", {}).get("defaults", {}).get("custom")
        if custom:
            check(custom, CUSTOM.get(panel["type"], "FieldConfig"), panel["type"])
        for target in panel.get("targets", []):
            check(target, "Dataquery", "prometheus")


@each_document
def test_panels_lie_beside_each_other_and_have_numbers_of_their_own(written: Json) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in written["panels"]:
        place = panel["gridPos"]
        columns, lines = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        cells = {(column, line) for column in columns for line in lines}
        assert columns.stop <= COLUMNS
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in written["panels"]}) == len(written["panels"])


def test_a_row_leaves_no_gap_at_its_end() -> None:
    for dashboard in MEASURED:
        for row in dashboard.rows:
            assert sum(panel.width for panel in row.panels) % COLUMNS == 0, f"{dashboard.uid}: {row.title}"


def test_queries_ask_only_for_what_is_exported() -> None:
    known = {name for metric in CATALOGUE for name in series_names(metric)} | {one.name for one in RECORDINGS}
    named = {name for query in asked() for name in query.metrics}

    assert named - known == CELERY | NOT_METRICS


def test_every_metric_of_the_catalogue_is_on_a_dashboard_or_in_a_rule_that_is() -> None:
    rules = {one.name: one.expression(Times()) for one in RECORDINGS}
    shown = " ".join(
        f"{query.expression} {' '.join(rules.get(name, '') for name in query.metrics)}" for query in asked()
    )

    assert [metric.name for metric in CATALOGUE if metric.name not in shown] == []


def test_every_panel_says_what_it_answers() -> None:
    for dashboard in MEASURED:
        for row in dashboard.rows:
            for panel in row.panels:
                assert "?" in panel.answers, f"{dashboard.uid}: {panel.title}"
                assert panel.queries, panel.title


def test_variables_are_used_and_declared() -> None:
    for dashboard in ALL:
        text = " ".join(query.expression for row in dashboard.rows for one in row.panels for query in one.queries)
        used = set(re.findall(r"\$(\w+)", text)) - {"__rate_interval", "__range"}
        assert used == {variable.name for variable in dashboard.variables}, dashboard.uid


def test_every_alert_is_linked_from_a_panel_and_its_link_leads_to_its_section() -> None:
    linked = {alert for dashboard in MEASURED for row in dashboard.rows for one in row.panels for alert in one.alerts}
    sections = {panel["id"]: panel for panel in panels(DOCUMENTS[UID]) if panel["type"] == "text"}

    assert linked == {alert.name for alert in ALERTS}
    for alert in linked:
        number = int(address(alert).partition("viewPanel=")[2])
        assert sections[number]["title"] == alert
        assert re.search("Look|Same steps|same, slower", sections[number]["options"]["content"])
    assert all("](#" not in panel["options"]["content"] for panel in sections.values())


def test_grafana_finds_dashboards_and_data_source_where_compose_puts_them() -> None:
    volumes = load_compose()["services"]["grafana"]["volumes"]
    provider = provisioned("dashboards", "tollgate.yml")["providers"][0]
    source = provisioned("datasources", "prometheus.yml")["datasources"][0]
    scraped = yaml.safe_load((REPOSITORY / "deploy" / "prometheus" / "prometheus.yml").read_text("utf-8"))

    assert "./deploy/grafana:/etc/grafana/tollgate:ro" in volumes
    assert provider["options"]["path"] == "/etc/grafana/tollgate/dashboards"
    assert {"type": source["type"], "uid": source["uid"]} == SOURCE
    assert source["jsonData"]["timeInterval"] == scraped["global"]["scrape_interval"]
