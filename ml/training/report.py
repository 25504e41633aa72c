"""What training found, as JSON for machines and Markdown for people; part of the bundle and of the MLflow
run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from ml.decisions import Thresholds
from ml.features.compiled import Integers
from ml.training.dataset import Dataset
from ml.training.doubts import Doubts
from ml.training.judging import Judgement
from ml.training.selection import Selection, Trial

Report = dict[str, Any]
WHAT_TO_DO: Final = (
    "What usually helps:",
    "  - more labelled fraud or a longer time span; a --label-delay that is yours",
    "  - who pays whom: entities under [roles] and history [features] in the schema file (docs/schema-files.md)",
    "  - a look at the labels: are those of the newest payments in yet?",
)


def make_report(
    dataset: Dataset,
    selection: Selection,
    judgement: Judgement,
    thresholds: Thresholds,
    *,
    importances: Mapping[str, float],
    doubts: Doubts,
    notes: list[str],
    seconds: float,
) -> Report:
    """Everything as JSON values; NaN becomes None."""
    figures = asdict(judgement)
    curve, ranking = figures.pop("curve"), figures.pop("ranking")
    figures["outcome"]["share_of_perfect"] = judgement.outcome.share_of_perfect
    split = dataset.split
    windows = {"train": split.train, "validate": split.validate, "test": split.test}
    report = {
        "schema": dataset.spec.schema.name,
        "rows": len(dataset.y),
        "columns": len(dataset.spec.columns),
        "windows": {name: _window(dataset, rows) for name, rows in windows.items()},
        "gap_s": split.gap_s,
        "clock": dataset.clock,
        "winner": _winner(selection),
        "trials": [asdict(trial) for trial in selection.trials],
        "thresholds": asdict(thresholds),
        "test": figures,
        "calibration_curve": _lists(curve),
        "ranking_curve": _lists(ranking) if ranking else None,
        "importances": dict(importances),
        "warnings": list(doubts.warnings),
        "loses_money": doubts.loses_money,
        "notes": [*notes, *split.notes, *selection.notes],
        "seconds": round(seconds, 1),
    }
    cleaned: Report = _without_nan(report)
    return cleaned


def _lists(curve: Mapping[str, Any]) -> dict[str, list[float]]:
    """Six digits are more than a picture shows, and half the file."""
    return {name: [float(f"{value:.6g}") for value in values] for name, values in curve.items()}


def _winner(selection: Selection) -> dict[str, Any]:
    """What serves: the settings of its trees, if it has any, and the share of the linear model."""
    share = {"linear_share": selection.model.share}
    if selection.model.trees is None:
        return {"name": selection.winner, **share}
    return asdict(selection.candidate) | share


def explain_refusal(detail: str, trials: Sequence[Trial]) -> str:
    """A refusal with what was tried and what a person can do about it, for the terminal."""
    width = max(len(trial.name) for trial in trials)
    head = f"  {'tried (validation window)':<{max(width, 25)}}  average precision  ROC AUC"
    rows = [f"  {t.name:<{max(width, 25)}}  {t.average_precision:>17.4f}  {t.roc_auc:>7.4f}" for t in trials]
    return "\n".join([f"{detail}; nothing was published", head, *rows, *WHAT_TO_DO])


def _window(dataset: Dataset, rows: Integers) -> dict[str, Any]:
    times = dataset.times[rows]
    window = {"rows": len(rows), "frauds": int(dataset.y[rows].sum())}
    return window | {"from": _when(dataset, float(times.min())), "until": _when(dataset, float(times.max()))}


def _when(dataset: Dataset, time_s: float) -> str | float:
    if not dataset.days.any():
        return time_s
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="seconds")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return None if math.isnan(value) else float(value)
    return value


def to_markdown(report: Report, model_version: str) -> str:
    """The report for people."""
    warnings = "".join(f"> **Warning:** {warning}\n>\n" for warning in report["warnings"])
    parts = [
        f"# {model_version}\n",
        *([warnings] if warnings else []),
        f"{report['rows']:,} rows, {report['columns']} columns, trained in {report['seconds']} s.\n",
        _table(("window", "rows", "frauds", "from", "until"), _window_rows(report)),
        "## Tried (on the validation window)\n",
        _table(("model", "average precision", "ROC AUC", "fitted on", "seconds"), trial_rows(report)),
        f"Chosen: **{report['winner']['name']}**.\n",
        "## On the test window\n",
        _table(("figure", "value", ""), figure_rows(report)),
        "## What moves the score most (mean |contribution|, log-odds)\n",
        _table(("feature", "impact"), [(name, f"{value:.3f}") for name, value in report["importances"].items()]),
        "![calibration](calibration.png)\n\n![precision and recall](precision_recall.png)\n",
    ]
    notes = "".join(f"- {note}\n" for note in report["notes"])
    return "\n".join([*parts, f"## Notes\n\n{notes}" if notes else ""])


def trial_rows(report: Report) -> list[tuple[str, ...]]:
    """One row per model that was tried."""
    return [
        (
            t["name"],
            _show(t["average_precision"]),
            _show(t["roc_auc"]),
            f"{t['rows']:,}",
            f"{t['seconds']:.1f}",
        )
        for t in report["trials"]
    ]


def figure_rows(report: Report) -> list[tuple[str, ...]]:
    """The figures of the test window: name, value, interval or remark."""
    test = report["test"]
    outcome = test["outcome"]
    rows = [
        ("ROC AUC", _show(test["roc_auc"]["value"]), _interval(test["roc_auc"])),
        (
            "average precision",
            _show(test["average_precision"]["value"]),
            _interval(test["average_precision"]),
        ),
        ("linear baseline: ROC AUC", _show(test["linear_roc_auc"]), ""),
        ("linear baseline: average precision", _show(test["linear_average_precision"]), ""),
        ("gain over the baseline", f"{test['gain']['value']:+.4f}", _interval(test["gain"])),
        (f"precision at {test['k']} a day", _show(test["precision_at_k"]), ""),
        *_card_rows(test),
        *_without_history_rows(test),
        ("Brier score", f"{test['brier']:.5f}", ""),
        ("log-loss", f"{test['log_loss']:.5f}", ""),
        ("mean probability", f"{test['mean_probability']:.5f}", f"share of fraud {test['base_rate']:.5f}"),
        ("review from", f"{report['thresholds']['review']:.4f}", f"{outcome['reviewed']:,} reviewed"),
        ("decline from", f"{report['thresholds']['decline']:.4f}", f"{outcome['declined']:,} declined"),
        (
            "worth at the thresholds",
            f"{outcome['value']:,.0f}",
            f"accepting all: {outcome['approve_all']:,.0f}",
        ),
        (
            "share of the perfect gain",
            f"{outcome['share_of_perfect']:.1%}",
            f"perfect: {outcome['perfect']:,.0f}",
        ),
        ("fraud let through", f"{outcome['missed_fraud']:,}", f"amount {outcome['missed_amount']:,.0f}"),
        ("good payments declined", f"{outcome['refused_good']:,}", f"of {outcome['n']:,} payments"),
    ]
    return [tuple(row) for row in rows]


def _card_rows(test: Report) -> list[tuple[str, str, str]]:
    cards = test["card_precision_at_k"]
    if cards is None:
        return []
    name = f"card precision at {test['k']} a day"
    return [(name, _show(cards["mean"]), f"perfect: {_show(cards['ceiling'])}, {cards['days']} days")]


def _without_history_rows(test: Report) -> list[tuple[str, str, str]]:
    bare = test["without_history"]
    if bare is None:
        return []
    return [
        (
            "without any history: average precision",
            _show(bare["average_precision"]),
            "payments that name no entity",
        )
    ]


def _window_rows(report: Report) -> list[tuple[str, ...]]:
    windows = report["windows"].items()
    return [(n, f"{w['rows']:,}", f"{w['frauds']:,}", str(w["from"]), str(w["until"])) for n, w in windows]


def _show(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def _interval(interval: Report) -> str:
    if interval["low"] is None:
        return ""
    return f"{interval['low']:.4f} to {interval['high']:.4f} ({interval['level']:.0%})"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [" | ".join(head), " | ".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines) + "\n"
