"""Part of `config.settings.Settings`."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Promotion(BaseModel):
    """The gate, challengers and the guard."""

    gate_min_frauds: int = Field(200, ge=1, description="Matured frauds below which the gate promotes nothing.")
    gate_champion_max_age_s: int = Field(
        0, ge=0, description="Age from which a champion gives way to a challenger that is not inferior; 0: never."
    )
    shadow_max_age_s: int = Field(
        2_419_200,
        ge=0,
        description="Age from which a shadow challenger that was not judged yet makes room for a newer.",
    )
    canary_share: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="Share of traffic that a model which the gate promotes decides first, as a canary; 0: all of it.",
    )
    canary_minutes: float = Field(30.0, gt=0, description="How long such a canary runs before it is promoted.")
    guard_interval_s: int = Field(10, ge=1, description="How often a canary or new champion is checked.")
    guard_minutes: float = Field(
        60.0, ge=0, description="How long a champion that the gate promoted is compared with its predecessor; 0: never."
    )
    guard_window_minutes: int = Field(10, ge=1, le=60, description="The guard looks at the decisions of this long.")
    guard_min_rows: int = Field(500, ge=20, description="Transactions below which the guard judges nothing.")
    guard_max_error_rate: float = Field(
        0.01, ge=0, le=1, description="Guard: largest share of transactions that the newer model fails to score."
    )
    guard_max_latency_ratio: float = Field(
        3.0, ge=1, description="Guard: how many times as long as the older model the newer one may take to score."
    )
    guard_max_alert_ratio: float = Field(
        2.0, gt=1, description="Guard: how many times as many (or few) alerts the newer model may raise."
    )
    guard_max_psi: float = Field(
        1.0, gt=0, description="Guard: largest stability index between both models' scores of the same transactions."
    )
