"""The runbook names only what there is: metrics, settings, commands, sections."""

from __future__ import annotations

import re
from pathlib import Path

from config.metrics.catalogue import CATALOGUE
from config.settings import Settings
from deploy.cli import COMMANDS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "RUNBOOK.md").read_text("utf-8")


def found(pattern: str) -> set[str]:
    return set(re.findall(pattern, PAGE))


def test_the_metrics_and_settings_that_it_names_exist() -> None:
    metrics = {metric.name for metric in CATALOGUE}
    settings = {f"TOLLGATE_{name.upper()}" for name in Settings.model_fields}

    assert {name for name in found(r"\btollgate_\w+") if not any(known.startswith(name) for known in metrics)} == set()
    assert found(r"\bTOLLGATE_[A-Z_]+\b") - settings == set()


def test_the_commands_that_it_gives_exist() -> None:
    assert found(r"(?m)(?:^|`)tollgate ([a-z-]+)") - COMMANDS.keys() == set()


def test_its_links_lead_to_its_sections() -> None:
    sections = {heading.lower() for heading in found(r"(?m)^### (\w+)$")}

    assert found(r"\(#(\w+)\)") - sections == set()
