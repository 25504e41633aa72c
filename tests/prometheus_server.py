"""A real Prometheus for tests, on a port and in a directory of its own: scrapes every half second, rules in a hurry."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.prometheus.rule import Times
from deploy.prometheus.rules import rules
from tests.programs import required
from tests.servers import free_port

EVERY_S = 0.5
HURRY = Times(scale=0.05, least_s=3.0, most_s=3.0)
EXPORTER_EVERY = "5s"
"""The celery-exporter asks the workers at each scrape and waits a second, twice, for who else may answer."""
START_LIMIT_S = 30.0


@dataclass(frozen=True)
class RunningPrometheus:
    """Asked over its HTTP interface."""

    port: int

    def firing(self) -> set[str]:
        """The names of the alerts that fire now."""
        alerts = self._ask("alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def query(self, expression: str) -> list[float]:
        """The values of an instant query."""
        found = self._ask(f"query?query={urllib.parse.quote(expression)}")["result"]
        return [float(sample["value"][1]) for sample in found]

    def label_values(self, metric: str, label: str) -> list[str]:
        """The values of a label of one metric."""
        found: list[str] = self._ask(f"label/{label}/values?match[]={metric}")
        return found

    def is_ready(self) -> bool:
        try:
            return bool(self.query('up{job="tollgate"} == 1'))
        except OSError:
            return False

    def wait_until_firing(self, *names: str, limit_s: float) -> None:
        """Return when each of these alerts has fired since the call: a burn rate does so for a few seconds only."""
        missing = set(names)

        def have_fired(firing: set[str]) -> bool:
            missing.difference_update(firing)
            return not missing

        self._wait(have_fired, lambda: f"{sorted(missing)} do not fire", limit_s)

    def wait_until_resolved(self, *names: str, limit_s: float) -> None:
        """Return when none of these alerts fires."""
        self._wait(lambda firing: not set(names) & firing, lambda: f"of {names} some still fire", limit_s)

    def _wait(self, is_true: Callable[[set[str]], bool], otherwise: Callable[[], str], limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        while not is_true(firing := self.firing()):
            assert time.monotonic() < deadline, f"{otherwise()}; firing: {sorted(firing)}"
            time.sleep(EVERY_S / 2)

    def _ask(self, what: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{what}", timeout=5) as answer:
            return json.load(answer)["data"]


@contextmanager
def running_prometheus(
    directory: Path, *, web_port: int, exporter_port: int | None = None
) -> Iterator[RunningPrometheus]:
    """Start it, wait until it has scraped the web side, stop it at the end. Skipped where it is not installed."""
    program = required("prometheus")
    (directory / "rules.yml").write_text(rules(HURRY, interval_s=EVERY_S))
    (directory / "prometheus.yml").write_text(_configuration(directory, web_port, exporter_port))
    port = free_port()
    command = [
        program,
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        server = RunningPrometheus(port)
        deadline = time.monotonic() + START_LIMIT_S
        while not server.is_ready():
            assert process.poll() is None, (directory / "prometheus.log").read_text()
            assert time.monotonic() < deadline, "Prometheus has not scraped the web side"
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait(20)


def _configuration(directory: Path, web_port: int, exporter_port: int | None) -> str:
    every = f"{round(EVERY_S * 1000)}ms"
    scraped = [_scraped("tollgate", "/prometheus", web_port)]
    if exporter_port is not None:
        patient = {"scrape_interval": EXPORTER_EVERY, "scrape_timeout": EXPORTER_EVERY}
        scraped.append(_scraped("celery", "/metrics", exporter_port) | patient)
    return json.dumps(
        {
            "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
            "rule_files": [str(directory / "rules.yml")],
            "scrape_configs": scraped,
        }
    )


def _scraped(job: str, path: str, port: int) -> dict[str, Any]:
    return {"job_name": job, "metrics_path": path, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
