"""The bounds of the gate, all in one place."""

from __future__ import annotations

import msgspec

DAY_S = 86_400.0
MEGABYTE = 1 << 20


class GatePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What a challenger has to show. Reasons and measurements: docs/adr/0020-promotion-gate.md.

    `min_frauds`: matured frauds below which nothing statistical is decided. `level`, `rounds`: of the paired
    bootstrap. `label_delay_s`: the window must begin this long after the newest transaction that the challenger
    learned from. `window_max_age_s`: how much older than its labels' delay the window's end may be.
    `champion_max_age_s`: a champion older than this may be replaced by a challenger that is not inferior by more
    than `inferiority_margin` in average precision; 0: never. `card_precision_slack`: what card precision at k may
    lose. `log_loss_slack`: share by which the log-loss may be worse. `mean_score_slack`: share by which the mean score
    may differ from the base rate. `clear_loss`: average precision below the linear model's by more than this
    rejects, whatever the interval says. `implausible`: an average precision from which a leak is assumed.
    `golden_tolerance`: largest difference in probability on the golden rows. `max_bytes`: size of the bundle.
    `max_latency_us`: scoring time per row, in batches of 64. `top_k`: alerts a day.
    """

    min_frauds: int = 200
    level: float = 0.9
    rounds: int = 200
    label_delay_s: float = 7 * DAY_S
    window_max_age_s: float = 30 * DAY_S
    champion_max_age_s: float = 0.0
    inferiority_margin: float = 0.01
    card_precision_slack: float = 0.01
    log_loss_slack: float = 0.01
    mean_score_slack: float = 0.25
    clear_loss: float = 0.05
    implausible: float = 0.9995
    golden_tolerance: float = 1e-9
    max_bytes: int = 64 * MEGABYTE
    max_latency_us: float = 1000.0
    top_k: int = 100

    def min_gain(self, champion_age_s: float) -> float:
        """What the lower bound of the gain in average precision has to exceed."""
        is_aged = 0 < self.champion_max_age_s < champion_age_s
        return -self.inferiority_margin if is_aged else 0.0
