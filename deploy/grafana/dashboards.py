"""Every dashboard, and the files that Grafana reads: `python -m deploy.grafana.dashboards` writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deploy.grafana.business import BUSINESS
from deploy.grafana.document import document
from deploy.grafana.panel import Dashboard
from deploy.grafana.quality import QUALITY
from deploy.grafana.queues import QUEUES
from deploy.grafana.runbook import read_runbook
from deploy.grafana.service import SERVICE

MEASURED: Final = (QUEUES, SERVICE, QUALITY, BUSINESS)
DIRECTORY: Final = Path(__file__).parent / "dashboards"


def files() -> Iterator[tuple[Path, str]]:
    """Where each dashboard is, and what must stand there."""
    for dashboard in (*MEASURED, read_runbook()):
        yield DIRECTORY / f"{dashboard.uid}.json", _text(dashboard)


def _text(dashboard: Dashboard) -> str:
    return json.dumps(document(dashboard), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path, text in files():
        path.write_text(text, "utf-8")
