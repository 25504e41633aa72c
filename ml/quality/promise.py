"""What a model promised when it was trained: the figures of its test window, as live quality measures them.

Read from the `report.json` of its bundle. Plain Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.quality_measures import BETTER_WHEN_LOWER
from ml.quality.ratio import Figure, Ratio, counted, share


def promise_of(report: Mapping[str, Any], *, k: int) -> dict[str, Figure]:
    """The promised figures by measure, with Wilson intervals over the test window; {} where the report has none.

    Precision at k is compared only when training looked at the same `k` alerts a day.
    """
    try:
        test = report["test"]
        ratios = _of_outcome(test["outcome"], round(test["base_rate"] * test["outcome"]["n"]))
        if test["k"] == k and test["card_precision_at_k"] is not None:
            ratios |= _of_slots(test, k * test["card_precision_at_k"]["days"])
    except (KeyError, TypeError):
        return {}
    figures = {name: share(ratio) for name, ratio in ratios.items()}
    return {name: figure for name, figure in figures.items() if figure is not None}


def falls_short(measure: str, live: Figure, promised: Figure) -> bool:
    """The whole interval of the live figure is on the wrong side of the whole interval of the promise."""
    if measure in BETTER_WHEN_LOWER:
        return live.low > promised.high
    return live.high < promised.low


def _of_outcome(outcome: Mapping[str, Any], frauds: int) -> dict[str, Ratio]:
    n, declined = outcome["n"], outcome["declined"]
    alerts, caught = declined + outcome["reviewed"], frauds - outcome["missed_fraud"]
    good = n - frauds
    return {
        "accuracy": counted(good - (alerts - caught) + caught, n),
        "precision": counted(caught, alerts),
        "recall": counted(caught, frauds),
        "decline_precision": counted(declined - outcome["refused_good"], declined),
        "false_positive_rate": counted(alerts - caught, good),
    }


def _of_slots(test: Mapping[str, Any], slots: int) -> dict[str, Ratio]:
    """Mean hits per slot, over all slots of the test window's days."""
    cards = test["card_precision_at_k"]["mean"]
    return {
        "precision_at_k": counted(round(test["precision_at_k"] * slots), slots),
        "card_precision_at_k": counted(round(cards * slots), slots),
    }
