"""The figures that are drawn by one paired bootstrap by card: champion and challenger on equal draws."""

from __future__ import annotations

import numpy as np

from ml.evaluation.bootstrap import Interval, Measure, bootstrap_intervals, standing_for
from ml.evaluation.card_ranking import RankedCards
from ml.evaluation.cost import CostModel
from ml.evaluation.ranking import Ranked
from ml.features.compiled import Floats
from ml.gate.evidence import Contender, Evidence, Window
from ml.gate.policy import GatePolicy


def draw_figures(
    evidence: Evidence, policy: GatePolicy, costs: CostModel, rng: np.random.Generator
) -> dict[str, Interval]:
    """Each figure on the window, with its interval at `policy.level`.

    `average_precision`: the challenger's. `gain`, `card_gain`: its average precision and card precision at k minus the
    champion's. `linear_gain`: minus the linear model's. `cost_gain`: worth minus the champion's, in money.
    `log_loss_ratio`: its log-loss over the champion's, minus 1. `mean_ratio`: its mean score over the base rate,
    minus 1. Rows count for as many transactions as they stand for, cards for themselves.
    """
    window = evidence.window
    return bootstrap_intervals(
        _measures(evidence, policy, costs),
        len(window.y),
        groups=window.cards if (window.cards >= 0).any() else None,
        rng=rng,
        rounds=policy.rounds,
        level=policy.level,
    )


def alerts_a_day(window: Window, policy: GatePolicy) -> int:
    """k: `policy.top_k`, less where a day has under ten times as many payments."""
    return min(policy.top_k, max(1, len(window.y) // (10 * len(np.unique(window.days)))))


def _measures(evidence: Evidence, policy: GatePolicy, costs: CostModel) -> dict[str, Measure]:
    window, champion, challenger = evidence.window, evidence.champion, evidence.challenger
    ours, theirs, linear = (
        Ranked(window.y, scores) for scores in (challenger.probability, champion.probability, evidence.linear)
    )
    cards, their_cards = (_ranked_cards(window, one, policy) for one in (challenger, champion))
    worth = _worth(window, challenger, costs) - _worth(window, champion, costs)
    loss, their_loss = _losses(window.y, challenger.probability), _losses(window.y, champion.probability)
    by_row: dict[str, Measure] = {
        "average_precision": ours.average_precision,
        "gain": lambda weight: ours.average_precision(weight) - theirs.average_precision(weight),
        "linear_gain": lambda weight: ours.average_precision(weight) - linear.average_precision(weight),
        "cost_gain": lambda weight: float(weight @ worth),
        "log_loss_ratio": lambda weight: _ratio(float(weight @ loss), float(weight @ their_loss)) - 1,
        "mean_ratio": lambda weight: _ratio(float(weight @ challenger.probability), float(weight @ window.y)) - 1,
    }
    weighted = {name: standing_for(measure, window.weight) for name, measure in by_row.items()}
    return {**weighted, "card_gain": lambda weight: cards.precision(weight) - their_cards.precision(weight)}


def _ranked_cards(window: Window, contender: Contender, policy: GatePolicy) -> RankedCards:
    k = alerts_a_day(window, policy)
    return RankedCards(window.y, contender.probability, window.days, window.cards, k=k, known=window.known_cards)


def _worth(window: Window, contender: Contender, costs: CostModel) -> Floats:
    """(n,) money that each payment is worth under the contender's own thresholds."""
    approve, review, decline = costs.values(window.y, window.amount)
    declined = contender.probability >= contender.thresholds.decline
    reviewed = contender.probability >= contender.thresholds.review
    worth: Floats = np.where(declined, decline, np.where(reviewed, review, approve))
    return worth


def _losses(y: Floats, probability: Floats) -> Floats:
    """(n,) negative log-likelihood in nats."""
    p = np.clip(probability, 1e-15, 1 - 1e-15)
    losses: Floats = -(y * np.log(p) + (1 - y) * np.log1p(-p))
    return losses


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
