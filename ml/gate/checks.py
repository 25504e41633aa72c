"""Checks on facts: is the window one that may be judged on, and is the bundle what it should be?"""

from __future__ import annotations

import numpy as np

from ml.gate.evidence import Evidence
from ml.gate.policy import DAY_S, GatePolicy
from ml.gate.verdict import Check, Outcome


def window_checks(evidence: Evidence, policy: GatePolicy) -> list[Check]:
    """Later than training by the labels' delay, the newest that has matured, with frauds enough to judge by."""
    window = evidence.window
    challenger_gap, champion_gap = (
        None if one.trained_until_s is None else (window.start_s - one.trained_until_s) / DAY_S
        for one in (evidence.challenger, evidence.champion)
    )
    age = (evidence.as_of_s - policy.label_delay_s - window.end_s) / DAY_S
    return [
        _at_least(
            "days_since_training",
            "the window begins after training and the labels' delay",
            challenger_gap,
            policy.label_delay_s / DAY_S,
            otherwise="reject",
        ),
        _at_most(
            "window_age_days",
            "the window is the newest that has matured",
            age,
            policy.window_max_age_s / DAY_S,
            otherwise="reject",
        ),
        _at_least(
            "days_since_champion_training",
            "the champion has not learned from the window either",
            np.inf if champion_gap is None else champion_gap,
            0.0,
            otherwise="keep_shadowing",
        ),
        _at_least("matured_frauds", "enough to judge by", window.frauds, policy.min_frauds, otherwise="keep_shadowing"),
    ]


def build_checks(evidence: Evidence, policy: GatePolicy) -> list[Check]:
    """The export equals the fitted model, and both budgets are kept."""
    build = evidence.build
    return [
        _at_most(
            "golden_rows",
            "compiled trees, fitted model and stored probabilities agree",
            build.golden_difference,
            policy.golden_tolerance,
            otherwise="reject",
        ),
        _at_most("bundle_bytes", "within the size budget", build.size_bytes, policy.max_bytes, otherwise="reject"),
        _at_most(
            "latency_us",
            "scoring a row is within the budget",
            build.latency_us,
            policy.max_latency_us,
            otherwise="reject",
        ),
    ]


def _at_least(name: str, rule: str, figure: float | None, bound: float, *, otherwise: Outcome) -> Check:
    passed = figure is not None and figure >= bound
    return _check(name, rule, figure, bound, passed=passed, otherwise=otherwise)


def _at_most(name: str, rule: str, figure: float | None, bound: float, *, otherwise: Outcome) -> Check:
    passed = figure is not None and figure <= bound
    return _check(name, rule, figure, bound, passed=passed, otherwise=otherwise)


def _check(name: str, rule: str, figure: float | None, bound: float, *, passed: bool, otherwise: Outcome) -> Check:
    """A figure that is unknown (None) does not pass."""
    return Check(
        name=name,
        rule=rule,
        figure=float(figure) if figure is not None and np.isfinite(figure) else None,
        bound=float(bound),
        leads_to="promote" if passed else otherwise,
        passed=passed,
    )
