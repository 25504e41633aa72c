"""rules.yml, written from the declared rules: `python -m deploy.prometheus.rules > deploy/prometheus/rules.yml`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Final

from deploy.prometheus.model_alerts import MODEL_ALERTS
from deploy.prometheus.recording import RECORDINGS
from deploy.prometheus.rule import RUNBOOK, Alert, Recording, Times
from deploy.prometheus.service_alerts import SERVICE_ALERTS
from deploy.prometheus.state_alerts import STATE_ALERTS

ALERTS: Final = (*SERVICE_ALERTS, *STATE_ALERTS, *MODEL_ALERTS)

HEAD: Final = """\
# Recording rules and alerts of Tollgate. Generated: python -m deploy.prometheus.rules > deploy/prometheus/rules.yml
# What to do about each alert: docs/RUNBOOK.md.
groups:
"""


def rules(times: Times, *, interval_s: float = 5.0, runbook: str = RUNBOOK) -> str:
    """The whole file. `interval_s`: how often Prometheus evaluates; `runbook`: where the runbook can be read."""
    recorded = [list(_recorded(recording, times)) for recording in RECORDINGS]
    alerted = [list(_alerted(alert, times, runbook)) for alert in ALERTS]
    interval = Times().wait(interval_s)
    return HEAD + _group("tollgate-recording", recorded, interval) + _group("tollgate-alerts", alerted, interval)


def _group(name: str, members: list[list[str]], interval: str) -> str:
    lines = [f"  - name: {name}", f"    interval: {interval}", "    rules:"]
    for member in members:
        first, *others = member
        lines += [f"      - {first}", *(f"        {line}" for line in others)]
    return "\n".join(lines) + "\n"


def _recorded(recording: Recording, times: Times) -> Iterator[str]:
    yield f"record: {recording.name}"
    yield f"expr: {json.dumps(recording.expression(times))}"


def _alerted(alert: Alert, times: Times, runbook: str) -> Iterator[str]:
    yield f"alert: {alert.name}"
    yield f"expr: {json.dumps(alert.expression(times))}"
    yield f"for: {times.wait(alert.wait_s)}"
    yield from ("labels:", f"  severity: {alert.severity}")
    yield from ("annotations:", f"  summary: {json.dumps(alert.summary)}", f"  runbook_url: {runbook}#{alert.anchor}")


if __name__ == "__main__":
    sys.stdout.write(rules(Times()))
