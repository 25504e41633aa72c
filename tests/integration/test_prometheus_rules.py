"""Scrape configuration, rules and alerts, judged by promtool: every alert fires on its data, none on calm data."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.metrics.catalogue import CATALOGUE, series_names
from deploy.prometheus.recording import RECORDINGS
from deploy.prometheus.rule import RUNBOOK, Times
from deploy.prometheus.rules import ALERTS, rules
from tests.alert_cases import CALM, CASES, Case
from tests.programs import required

REPOSITORY = Path(__file__).resolve().parents[2]
HERE = REPOSITORY / "deploy" / "prometheus"


def run(*command: str) -> str:
    """The output of a program; fails with it."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_file_is_the_declared_rules() -> None:
    assert (HERE / "rules.yml").read_text("utf-8") == rules(Times())


def test_promtool_accepts_rules_and_scrape_configuration(tmp_path: Path) -> None:
    promtool = required("promtool")
    config = (HERE / "prometheus.yml").read_text("utf-8")
    here = tmp_path / "prometheus.yml"
    key = tmp_path / "metrics-key"
    key.write_text("shown to the web side")
    given = {"/etc/prometheus/rules.yml": HERE / "rules.yml", "/tmp/metrics-key": key}
    for inside, outside in given.items():
        assert inside in config
        config = config.replace(inside, str(outside))
    here.write_text(config)

    assert f"{len(RECORDINGS) + len(ALERTS)} rules found" in run(promtool, "check", "rules", str(HERE / "rules.yml"))
    assert "SUCCESS" in run(promtool, "check", "config", str(here))


def test_every_alert_has_data_to_fire_on_and_a_place_in_the_runbook() -> None:
    names = [alert.name for alert in ALERTS]
    headings = re.findall(r"^#+ (Tollgate\w+)$", (REPOSITORY / RUNBOOK).read_text("utf-8"), re.MULTILINE)

    assert sorted(CASES) == sorted(names)
    assert sorted(headings) == sorted(names)


def test_rules_ask_only_for_metrics_that_are_exported() -> None:
    known = {name for metric in CATALOGUE for name in series_names(metric)} | {one.name for one in RECORDINGS}
    expressions = [one.expression(Times()) for one in (*RECORDINGS, *ALERTS)]
    asked = {name for text in expressions for name in re.findall(r"\btollgate[_:][\w:]+", text)}

    assert asked - known == set()
    assert {re.split(r"[{ ]", series)[0] for series in CALM} - known == {"up"}


def promtool_group(case: Case, expected: dict[str, Any]) -> dict[str, Any]:
    series = {name: values for name, values in (CALM | case.series).items() if name not in case.gone}
    return {
        "interval": f"{case.step_s}s",
        "input_series": [case.values(name, values) for name, values in series.items()],
        "promql_expr_test": [{"eval_time": f"{case.after_s}s", **expected}],
    }


def firing(name: str) -> dict[str, Any]:
    expression = f'group by (alertname) (ALERTS{{alertname="{name}",alertstate="firing"}})'
    return {"expr": expression, "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1}]}


@pytest.mark.parametrize("step_s", sorted({case.step_s for case in CASES.values()}))
def test_every_alert_fires_on_its_data_and_none_on_a_calm_service(tmp_path: Path, step_s: int) -> None:
    promtool = required("promtool")
    cases = {name: case for name, case in CASES.items() if case.step_s == step_s}
    calm = Case(after_s=max(case.after_s for case in cases.values()), step_s=step_s)
    groups = [promtool_group(case, firing(name)) for name, case in cases.items()]
    groups.append(promtool_group(calm, {"expr": 'ALERTS{alertstate="firing"}', "exp_samples": []}))
    tests = {"rule_files": [str(HERE / "rules.yml")], "evaluation_interval": f"{step_s}s", "tests": groups}
    (tmp_path / "tests.yml").write_text(json.dumps(tests))

    run(promtool, "test", "rules", str(tmp_path / "tests.yml"))


def test_every_alert_says_how_bad_it_is_and_where_to_read_on() -> None:
    groups = yaml.safe_load((HERE / "rules.yml").read_text("utf-8"))["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]

    assert len(alerts) == len(ALERTS)
    for alert in alerts:
        assert alert["labels"]["severity"] in ("critical", "warning")
        assert alert["annotations"]["summary"].endswith(".")
        assert alert["annotations"]["runbook_url"] == f"{RUNBOOK}#{alert['alert'].lower()}"
