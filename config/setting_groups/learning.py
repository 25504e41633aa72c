"""Part of `config.settings.Settings`."""

from __future__ import annotations

from pydantic import BaseModel, Field

from config.contracts import LabelPolicy


class Learning(BaseModel):
    """Labels, quality, drift and training."""

    label_delay_s: int = Field(
        604_800,
        ge=0,
        description="How long after a transaction its label is expected, until enough labels say so themselves.",
    )
    label_delay_fixed: bool = Field(
        False,
        description="Take `TOLLGATE_LABEL_DELAY_S` as it stands, do not learn the label delay: where labels are dated"
        " by when they were loaded.",
    )
    label_policy: LabelPolicy = Field(
        "chargebacks",
        description="What a matured decision without a label is, in training and live quality: `chargebacks`: genuine,"
        " since only frauds are reported; `explicit`: unknown, and left out.",
    )
    quality_roll_up_s: int = Field(
        120, ge=10, description="How often live quality is rolled up for the days that changed."
    )
    quality_top_k: int = Field(
        100,
        ge=1,
        description="Alerts that can be looked at in a day: the k of live precision at k and card precision at k.",
    )
    quality_segment_field: str = Field(
        "", description="Field of the schema that live quality is split by; empty: the first category."
    )
    drift_interval_s: int = Field(3600, ge=0, description="How often drift is checked for; 0: never.")
    drift_window_s: int = Field(
        86_400, ge=60, description="Drift checks compare the decisions of this long with the training data: whole days."
    )
    retrain_interval_s: int = Field(
        86_400, ge=0, description="How often a challenger is trained on the ledger; 0: only on demand."
    )
    training_limit_s: int = Field(3600, ge=60, description="Longest training from the ledger; then it is ended.")
    incremental_interval_s: int = Field(
        3600, ge=0, description="How often the incremental model learns from new labels; 0: never."
    )
    incremental_publish_steps: int = Field(
        24, ge=1, description="Steps of the incremental model between two bundles that the gate may judge."
    )
