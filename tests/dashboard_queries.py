"""The queries of the dashboards as Grafana would send them: its variables have values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from deploy.grafana.dashboards import MEASURED
from deploy.grafana.document import ANNOTATIONS
from deploy.grafana.runbook import read_runbook

CELERY = {"celery_worker_up"}
"""What is asked of the celery-exporter."""

NOTHING_HAPPENED = "while nothing happens that is marked"
NOT_METRICS = {"ALERTS"}
"""Series of Prometheus itself."""

_NAME = re.compile(r"\b(?:tollgate|celery)[_:][\w:]+|\bALERTS\b")


@dataclass(frozen=True)
class Asked:
    """One query, where it stands, and when it rightly finds nothing ("": never)."""

    where: str
    expression: str
    empty: str

    def sent(self, window: str) -> str:
        """With all of Grafana's variables: rates over `window`, no choice made."""
        text = self.expression
        for name in ("$__rate_interval", "$__range"):
            text = text.replace(name, window)
        return re.sub(r"\$\w+", ".*", text)

    @property
    def metrics(self) -> set[str]:
        return set(_NAME.findall(self.expression))


def asked() -> Iterator[Asked]:
    """Every query of every panel, and those of the annotations."""
    for dashboard in (*MEASURED, read_runbook()):
        for row in dashboard.rows:
            for panel in row.panels:
                for query in panel.queries:
                    yield Asked(f"{dashboard.uid}: {panel.title}", query.expression, query.empty or panel.empty)
    for name, _, expression, _ in ANNOTATIONS:
        yield Asked(f"annotation {name}", expression, NOTHING_HAPPENED)
