"""Decide about a challenger: promote it, let it go on in the shadow, or reject it."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from ml.evaluation.cost import CostModel
from ml.gate.checks import build_checks, window_checks
from ml.gate.evidence import Evidence
from ml.gate.figures import draw_figures
from ml.gate.policy import GatePolicy
from ml.gate.statistical import comparison_checks, own_checks
from ml.gate.verdict import Check, GateReport, worst

DEFAULT_COSTS = CostModel()


def decide(
    evidence: Evidence, policy: GatePolicy, *, rng: np.random.Generator, costs: CostModel = DEFAULT_COSTS
) -> GateReport:
    """Ask every question, and answer with the most severe consequence.

    What more data cannot heal rejects: a window that training has seen or that is stale, a bundle that is not what
    was fitted or that breaks a budget, and figures whose whole interval lies on the wrong side. What is merely not
    shown keeps the challenger in the shadow. Statistical checks reject only with `policy.min_frauds` matured frauds,
    and comparisons only with a champion that has not learned from the window. The same evidence and `rng` state give
    the same report.
    """
    window = evidence.window
    checks = [
        *window_checks(evidence, policy),
        *build_checks(evidence, policy),
        *_statistical_checks(evidence, policy, costs, rng),
    ]
    return GateReport(
        outcome=worst([check.leads_to for check in checks]),
        champion=evidence.champion.model_version,
        challenger=evidence.challenger.model_version,
        decided_at=datetime.fromtimestamp(evidence.as_of_s, UTC).isoformat(timespec="seconds"),
        window_from_s=window.start_s,
        window_until_s=window.end_s,
        rows=len(window.y),
        frauds=window.frauds,
        checks=checks,
    )


def _statistical_checks(
    evidence: Evidence, policy: GatePolicy, costs: CostModel, rng: np.random.Generator
) -> list[Check]:
    window, seen_until_s = evidence.window, evidence.champion.trained_until_s
    if not 0 < window.frauds < len(window.y):
        return []
    figures = draw_figures(evidence, policy, costs, rng)
    has_enough = window.frauds >= policy.min_frauds
    is_fair = seen_until_s is None or seen_until_s <= window.start_s
    min_gain = policy.min_gain(evidence.champion_age_s)
    return [
        *comparison_checks(figures, policy, min_gain=min_gain, may_reject=has_enough and is_fair),
        *own_checks(figures, policy, may_reject=has_enough),
    ]
