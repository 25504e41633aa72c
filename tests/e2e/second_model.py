"""A second bundle beside the champion, the same model under another name, with what the gate said of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from ml.bundle_files import MANIFEST, write_files
from ml.gate.verdict import Check, GateReport

NAME: Final = "payment-challenger"


def add_second_model(model_dir: Path, champion: str) -> str:
    """Write it to the store and return its version. One that is there already stays."""
    if not (model_dir / NAME).exists():
        manifest = json.loads((model_dir / champion / MANIFEST).read_bytes())
        files = {name: (model_dir / champion / name).read_bytes() for name in manifest["files"]}
        about = {name: value for name, value in manifest.items() if name not in ("files", "format", "model_version")}
        write_files(model_dir / NAME, files, {**about, "model_version": NAME})
        (model_dir / NAME / "gate.json").write_bytes(msgspec.json.encode(gate_report(champion)))
    return NAME


def gate_report(champion: str) -> GateReport:
    """What the gate says of the same model again: it is no better."""
    return GateReport(
        outcome="keep_shadowing",
        champion=champion,
        challenger=NAME,
        decided_at=datetime.now(UTC).isoformat(timespec="seconds"),
        window_from_s=1_770_000_000.0,
        window_until_s=1_772_000_000.0,
        rows=18_240,
        frauds=211,
        checks=[
            _check("days_since_training", "the window begins after training and the labels' delay", 8.2, 7.0),
            _check("matured_frauds", "enough to judge by", 211.0, 100.0),
            _check("golden_rows", "compiled trees, fitted model and stored probabilities agree", 2.2e-16, 1e-9),
            _check("bundle_bytes", "within the size budget", 257_838.0, 50_000_000.0),
            _check("latency_us", "scoring a row is within the budget", 11.4, 50.0),
            Check(
                name="average_precision_gain",
                rule="better than the champion beyond chance",
                figure=0.0,
                bound=0.0,
                low=-0.0004,
                high=0.0004,
                leads_to="keep_shadowing",
                passed=False,
            ),
        ],
    )


def _check(name: str, rule: str, figure: float, bound: float) -> Check:
    return Check(name=name, rule=rule, figure=figure, bound=bound, leads_to="promote", passed=True)
