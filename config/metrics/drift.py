"""The last drift check, as the shared state keeps it (docs/drift.md)."""

from __future__ import annotations

from typing import Final

from config.metrics.metric import Label
from config.metrics.shared import Filled, gauge

DRIFT_GAUGES: Final = (
    Filled(
        gauge("drift_checked_at_seconds", "Unix time of the last drift check, 0 before the first.", unit="seconds"),
        {"": "checked_at_s"},
    ),
    Filled(gauge("drift_rows", "Decisions that the last drift check compared."), {"": "rows"}),
    Filled(gauge("drift_score_psi", "Population stability index of the score at the last check."), {"": "score_psi"}),
    Filled(
        gauge("drift_features_drifting", "Columns whose distribution drifts, at the last check."),
        {"": "columns_drifting"},
    ),
    Filled(
        gauge(
            "drift_quality_features",
            "Columns with more missing, unknown or out-of-range values than in training, at the last check.",
        ),
        {"": "columns_quality"},
    ),
    Filled(
        gauge("drift_strong", "1 when the last check found enough to ask for a challenger, if the next one does too."),
        {"": "is_strong"},
    ),
)
FEATURES_MOST: Final = 10
FEATURE_PSI: Final = gauge(
    "drift_feature_psi",
    "Population stability index of the ten columns that are the least likely by chance, at the last check.",
    Label("feature", most=FEATURES_MOST, words="columns of the model, those with findings first; `none` before"),
)

METRICS: Final = (*(filled.metric for filled in DRIFT_GAUGES), FEATURE_PSI)
