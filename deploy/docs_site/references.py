"""Everything in the repository that is written from the code, written again: `make references`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from config import metrics_reference, settings_reference
from config.schema.load import load_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from deploy.docs_site import api_reference, cli_reference, problem_reference
from deploy.grafana import dashboards
from deploy.grafana import reference as dashboard_reference
from deploy.prometheus import rules
from deploy.prometheus.rule import Times
from web.openapi import build_document

REPOSITORY = Path(__file__).resolve().parents[2]


def generated() -> Iterator[tuple[Path, str]]:
    """Each file and what should be in it."""
    docs = REPOSITORY / "docs"
    yield docs / "settings.md", settings_reference.reference()
    yield docs / "metrics.md", metrics_reference.reference()
    yield docs / "dashboards.md", dashboard_reference.reference()
    yield docs / "openapi.json", json.dumps(build_document(load_schema(DEFAULT_SCHEMA)), indent=2) + "\n"
    yield docs / "api-reference.md", api_reference.reference()
    yield docs / "problems.md", problem_reference.reference()
    yield docs / "cli.md", cli_reference.reference()
    yield REPOSITORY / "deploy" / "prometheus" / "rules.yml", rules.rules(Times())
    yield from dashboards.files()


def write_all() -> list[Path]:
    """Write what differs; returns those files."""
    stale = [(path, text) for path, text in generated() if not path.exists() or path.read_text("utf-8") != text]
    for path, text in stale:
        path.write_text(text, "utf-8")
    return [path for path, _ in stale]


if __name__ == "__main__":
    for written in write_all():
        sys.stdout.write(f"{written.relative_to(REPOSITORY)}\n")
