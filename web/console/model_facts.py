"""What the console shows of a bundle's reports. A part that is not as expected is left out: bundles live long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from ml.gate.verdict import Check
from ml.quality.ratio import Figure
from web.shapes.models import ModelEntry

IMPORTANCES: Final = 12
T = TypeVar("T")


class Window(msgspec.Struct, frozen=True, rename={"since": "from"}):
    """One window of the training data. Times are RFC 3339."""

    rows: int
    frauds: int
    since: str
    until: str


class Trial(msgspec.Struct, frozen=True):
    """One candidate, measured on the validation window."""

    name: str
    average_precision: float
    roc_auc: float
    seconds: float


class RankingCurve(msgspec.Struct, frozen=True):
    """Precision over recall, recall over the false-positive rate."""

    recall: list[float]
    precision: list[float]
    false_positive_rate: list[float]


class CalibrationCurve(msgspec.Struct, frozen=True):
    """Mean predicted probability and share of fraud, per bin."""

    predicted: list[float]
    observed: list[float]


class ModelFacts(msgspec.Struct, frozen=True):
    """Of the test window, None where the report does not say.

    `saves`: money at the model's thresholds over accepting every payment. `importances`: column, share of the largest.
    """

    average_precision: Figure | None
    roc_auc: Figure | None
    saves: Figure | None
    review: float | None
    decline: float | None
    winner: str | None
    seconds: float | None
    windows: Mapping[str, Window]
    trials: list[Trial]
    warnings: list[str]
    importances: list[tuple[str, float]]
    checks: list[Check]


class ModelCurves(msgspec.Struct, frozen=True):
    """The curves of one model."""

    name: str
    is_champion: bool
    ranking: RankingCurve
    calibration: CalibrationCurve


def facts_of(entry: ModelEntry) -> ModelFacts:
    """The facts of one bundle."""
    report = entry.report
    return ModelFacts(
        average_precision=_read(report, Figure, "test", "average_precision"),
        roc_auc=_read(report, Figure, "test", "roc_auc"),
        saves=_read(report, Figure, "test", "money_gain"),
        review=_read(report, float, "thresholds", "review"),
        decline=_read(report, float, "thresholds", "decline"),
        winner=_read(report, str, "winner", "name"),
        seconds=_read(report, float, "seconds"),
        windows=_read(report, dict[str, Window], "windows") or {},
        trials=_read(report, list[Trial], "trials") or [],
        warnings=[*(_read(report, list[str], "warnings") or []), *(_read(report, list[str], "notes") or [])],
        importances=_importances(_read(report, dict[str, float], "importances") or {}),
        checks=_read(entry.gate, list[Check], "checks") or [],
    )


def shown_curves(entry: ModelEntry | None, champion: ModelEntry | None) -> list[ModelCurves]:
    """The curves of the chosen model and, beside them, the champion's; without those whose reports have none."""
    shown = [one for one in (entry, champion if champion is not entry else None) if one is not None]
    found = [_curves(one) for one in shown]
    return [one for one in found if one is not None]


def _curves(entry: ModelEntry) -> ModelCurves | None:
    ranking = _read(entry.report, RankingCurve, "ranking_curve")
    calibration = _read(entry.report, CalibrationCurve, "calibration_curve")
    if ranking is None or calibration is None:
        return None
    return ModelCurves(entry.model_version, entry.is_champion, ranking, calibration)


def _importances(given: Mapping[str, float]) -> list[tuple[str, float]]:
    largest = max(given.values(), default=0.0) or 1.0
    ordered = sorted(given.items(), key=lambda item: -item[1])
    return [(name, max(0.0, value) / largest) for name, value in ordered[:IMPORTANCES]]


def _read(report: Any, kind: type[T], *path: str) -> T | None:
    for name in path:
        report = report.get(name) if isinstance(report, dict) else None
    try:
        return msgspec.convert(report, kind)
    except msgspec.ValidationError:
        return None
