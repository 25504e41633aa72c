"""Every query of the dashboards, evaluated by promtool where everything is known and has happened: each shows it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from config.metrics.catalogue import CATALOGUE
from config.metrics.metric import Metric
from tests.dashboard_queries import CELERY, asked
from tests.programs import required

REPOSITORY = Path(__file__).resolve().parents[2]
STEP_S = 15
ASKED_AT_S = 600
SAMPLES = ASKED_AT_S // STEP_S + 1
PROMOTED_AT = SAMPLES - 3
GROWING, STILL = f"0+3x{SAMPLES}", f"1x{SAMPLES}"
OPEN = {"endpoint": ("/predict", "/health"), "status": ("503",)}
"""Values of open labels that rules and panels name."""

HAPPENED = {
    'tollgate_champion_info{model_version="new"}': f"_x{PROMOTED_AT} 1x{SAMPLES - PROMOTED_AT}",
    'ALERTS{alertname="TollgateNotReady",alertstate="firing",severity="critical"}': STILL,
}


def labelled(metric: Metric) -> Iterator[dict[str, str]]:
    """Label combinations of a metric: every declared value, and a few for an open label."""
    values = [label.values or OPEN.get(label.name, ("some",)) for label in metric.labels]
    yield from (dict(zip(metric.label_names, one, strict=True)) for one in product(*values))


def series(metric: Metric) -> Iterator[tuple[str, str]]:
    """What Prometheus would have scraped of a metric, in promtool's notation."""
    for labels in labelled(metric):
        if metric.kind != "histogram":
            yield named(metric.name, labels), GROWING if metric.kind == "counter" else STILL
            continue
        for place, bound in enumerate([*map(str, metric.buckets), "+Inf"], start=1):
            yield named(f"{metric.name}_bucket", {**labels, "le": bound}), f"0+{place}x{SAMPLES}"
        for part in ("_sum", "_count"):
            yield named(metric.name + part, labels), GROWING


def named(name: str, labels: dict[str, str]) -> str:
    inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{name}{{{inside}}}"


def something(expression: str) -> dict[str, Any]:
    """A test that the query finds a value that is a number: NaN is not equal to itself."""
    return {
        "expr": f"count(({expression}) == ({expression})) > bool 0",
        "eval_time": f"{ASKED_AT_S}s",
        "exp_samples": [{"labels": "{}", "value": 1}],
    }


def test_every_query_shows_something_when_everything_has_happened(tmp_path: Path) -> None:
    scraped = dict(pair for metric in CATALOGUE for pair in series(metric))
    scraped |= {f'{name}{{hostname="scoring-1@here"}}': STILL for name in CELERY} | HAPPENED
    group = {
        "interval": f"{STEP_S}s",
        "input_series": [{"series": name, "values": values} for name, values in scraped.items()],
        "promql_expr_test": [something(query.sent("60s")) for query in asked()],
    }
    rules = str(REPOSITORY / "deploy" / "prometheus" / "rules.yml")
    tests = {"rule_files": [rules], "evaluation_interval": f"{STEP_S}s", "tests": [group]}
    (tmp_path / "tests.yml").write_text(json.dumps(tests))

    done = subprocess.run(
        [required("promtool"), "test", "rules", str(tmp_path / "tests.yml")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout + done.stderr
