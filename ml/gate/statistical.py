"""Checks on drawn figures: each passes by its value or its bound, and rejects only by its whole interval."""

from __future__ import annotations

from collections.abc import Mapping

from ml.evaluation.bootstrap import Interval
from ml.gate.policy import GatePolicy
from ml.gate.verdict import Check, Outcome


def comparison_checks(
    figures: Mapping[str, Interval], policy: GatePolicy, *, min_gain: float, may_reject: bool
) -> list[Check]:
    """The challenger against the champion. `min_gain`: what the gain's lower bound has to exceed."""
    gain, cards = figures["gain"], figures["card_gain"]
    cost, loss = figures["cost_gain"], figures["log_loss_ratio"]
    return [
        _drawn(
            "average_precision_gain",
            "the whole interval of the gain over the champion is above the bound",
            gain,
            min_gain,
            passes=gain.low > min_gain,
            is_hopeless=may_reject and gain.high < min_gain,
        ),
        _drawn(
            "card_precision_gain",
            "card precision at k is not below the champion's",
            cards,
            -policy.card_precision_slack,
            passes=cards.value >= -policy.card_precision_slack,
            is_hopeless=may_reject and cards.high < -policy.card_precision_slack,
        ),
        _drawn(
            "cost_gain",
            "worth at least as much money as the champion",
            cost,
            0.0,
            passes=cost.value >= 0,
            is_hopeless=may_reject and cost.high < 0,
        ),
        _drawn(
            "log_loss_excess",
            "log-loss is not worse than the champion's (share by which it is)",
            loss,
            policy.log_loss_slack,
            passes=loss.value <= policy.log_loss_slack,
            is_hopeless=may_reject and loss.low > policy.log_loss_slack,
        ),
    ]


def own_checks(figures: Mapping[str, Interval], policy: GatePolicy, *, may_reject: bool) -> list[Check]:
    """The challenger for itself: better than a straight line, calibrated, not too good to be true."""
    linear, average, mean = figures["linear_gain"], figures["average_precision"], figures["mean_ratio"]
    return [
        _drawn(
            "gain_over_linear",
            "average precision is at least a linear model's",
            linear,
            0.0,
            passes=linear.value >= 0,
            is_hopeless=may_reject and (linear.high < 0 or linear.value < -policy.clear_loss),
        ),
        _drawn(
            "mean_score_excess",
            "the mean score is near the base rate (share by which it is off)",
            mean,
            policy.mean_score_slack,
            passes=abs(mean.value) <= policy.mean_score_slack,
            is_hopeless=may_reject and (mean.low > policy.mean_score_slack or mean.high < -policy.mean_score_slack),
        ),
        _drawn(
            "average_precision",
            "not so good that a feature must know the label",
            average,
            policy.implausible,
            passes=average.value < policy.implausible,
            is_hopeless=may_reject and average.value >= policy.implausible,
        ),
    ]


def _drawn(name: str, rule: str, figure: Interval, bound: float, *, passes: bool, is_hopeless: bool) -> Check:
    """NaN compares false: a figure that is not there neither passes nor rejects."""
    leads_to: Outcome = "promote" if passes else "reject" if is_hopeless else "keep_shadowing"
    return Check(
        name=name,
        rule=rule,
        figure=figure.value,
        bound=bound,
        leads_to=leads_to,
        passed=passes,
        low=figure.low,
        high=figure.high,
    )
