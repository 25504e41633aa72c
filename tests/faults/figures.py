"""The figures of a run: printed at its end, and after a full run written into docs/reliability.md."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.bench.machine import describe_machine
from deploy.bench.markdown import number

DOCS = Path(__file__).resolve().parents[2] / "docs"
BEGIN = "<!-- faults:begin -->"
END = "<!-- faults:end -->"


@dataclass
class Scenario:
    """One scenario of the run. `number`: its number on the page; `figures`: what was counted or measured, by name."""

    number: int
    title: str
    test: str
    figures: dict[str, float] = field(default_factory=dict)
    outcome: str = "failed"

    def note(self, **figures: float) -> None:
        """Remember figures; an underscore in a name becomes a space."""
        self.figures |= {name.replace("_", " "): round(value, 3) for name, value in figures.items()}


def as_lines(scenarios: list[Scenario]) -> list[str]:
    """The figures as plain text, one line a scenario."""
    return [
        f"{one.number:>2} {one.title}: {one.outcome}; {_figures(one.figures)}"
        for one in sorted(scenarios, key=lambda one: one.number)
    ]


def write_page(scenarios: list[Scenario], command: str) -> None:
    """Put the table between the markers of docs/reliability.md, and the figures into docs/reliability.json.

    Scenarios that were not run keep the figures of the last full run that ran them, and its outcome.
    """
    kept = DOCS / "reliability.json"
    report: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    run = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "machine": describe_machine(DOCS),
    }
    for one in scenarios:
        report[str(one.number)] = asdict(one) | run
    report = dict(sorted(report.items(), key=lambda item: int(item[0])))
    kept.write_text(json.dumps(report, indent=1) + "\n")
    page = DOCS / "reliability.md"
    head, _, rest = page.read_text().partition(BEGIN)
    tail = rest.partition(END)[2]
    page.write_text(f"{head.rstrip()}\n\n{BEGIN}\n{as_table(report)}\n{END}\n\n{tail.lstrip()}")


def as_table(report: dict[str, Any]) -> str:
    """The Markdown table of a report, and the machines that it was measured on."""
    rows = [
        f"| {number} | {one['title']} | {one['outcome']} | {_figures(one['figures'])} |"
        for number, one in report.items()
    ]
    machines = sorted({_machine(one) for one in report.values()})
    lines = ["| | scenario | outcome | figures |", "|---:|---|---|---|", *rows, "", *machines]
    return "\n".join(lines)


def _figures(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in figures.items())


def _machine(one: dict[str, Any]) -> str:
    machine = one["machine"]
    return (
        f"- {one['at'][:10]}, `{one['command']}`: {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_gb']} GB, {machine['kernel']}, {machine['python']}, "
        f"a synced write takes {machine['sync_ms']:.1f} ms."
    )
