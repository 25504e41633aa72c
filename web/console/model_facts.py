"""What the console shows of a bundle's reports. Their keys are looked for, not relied on: bundles outlive versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from web.shapes import ModelEntry

IMPORTANCES: Final = 12
_CURVES: Final = ("ranking_curve", "calibration_curve")


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Of the test window, None where the report does not say. `average_precision`, `roc_auc`: {value, low, high}.

    `saves`: money at the model's thresholds over accepting every payment. `importances`: column, share of the largest.
    """

    average_precision: Mapping[str, float] | None
    roc_auc: Mapping[str, float] | None
    saves: Mapping[str, float] | None
    review: float | None
    decline: float | None
    winner: str | None
    rows: int | None
    seconds: float | None
    windows: Mapping[str, Mapping[str, Any]]
    trials: list[Mapping[str, Any]]
    warnings: list[str]
    importances: list[tuple[str, float]]


def facts_of(entry: ModelEntry) -> ModelFacts:
    """The facts of one bundle."""
    report = entry.report
    return ModelFacts(
        average_precision=_dig(report, "test", "average_precision"),
        roc_auc=_dig(report, "test", "roc_auc"),
        saves=_dig(report, "test", "money_gain"),
        review=_dig(report, "thresholds", "review"),
        decline=_dig(report, "thresholds", "decline"),
        winner=_dig(report, "winner", "name"),
        rows=_dig(report, "rows"),
        seconds=_dig(report, "seconds"),
        windows=_dig(report, "windows") or {},
        trials=_dig(report, "trials") or [],
        warnings=[*(_dig(report, "warnings") or []), *(_dig(report, "notes") or [])],
        importances=_importances(_dig(report, "importances") or {}),
    )


def shown_curves(entry: ModelEntry | None, champion: ModelEntry | None) -> list[dict[str, Any]]:
    """The curves of the chosen model and, beside them, the champion's; without those whose reports have none."""
    shown = [one for one in (entry, champion if champion is not entry else None) if one is not None]
    return [
        {"name": one.model_version, "is_champion": one.is_champion, **{name: one.report[name] for name in _CURVES}}
        for one in shown
        if all(one.report.get(name) for name in _CURVES)
    ]


def _importances(given: Mapping[str, float]) -> list[tuple[str, float]]:
    largest = max(given.values(), default=0.0) or 1.0
    ordered = sorted(given.items(), key=lambda item: -item[1])
    return [(name, max(0.0, value) / largest) for name, value in ordered[:IMPORTANCES]]


def _dig(report: Any, *path: str) -> Any:
    for name in path:
        report = report.get(name) if isinstance(report, dict) else None
    return report
