"""How GET /metrics puts a summary into words: what matters now first, then everything, with units people read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from web.shapes.health import Trouble

_UNIT: Final = re.compile(r"_(ms|s|bytes)(?=_|$)")
_DIGEST_SHOWN: Final = 12
_WAITED_TOO_LONG_S: Final = 2.0
_BAD: Final[Mapping[str, Callable[[Any], bool]]] = {
    "status": lambda status: status != "ok",
    "scoring_workers": lambda workers: workers == 0,
    "oldest_payment_s": lambda age_s: age_s > _WAITED_TOO_LONG_S,
    "dead_letters": lambda letters: letters > 0,
}


def headline(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What somebody looks for first, by name; None where a part could not be read."""
    service, queue, decisions = summary["service"], summary["queue"], summary["decisions"]
    scoring = [one for one in service["workers"] if one["role"] == "scoring" and one["status"] == "serving"]
    return {
        "status": service["status"],
        "model_version": service["model_version"],
        "scoring_workers": len(scoring) if service["broker"] == "up" else None,
        "payments_waiting": queue.get("queue_depth_score"),
        "oldest_payment_s": queue.get("queue_oldest_age_s_score"),
        "canary_latency_s": queue.get("canary_latency_s"),
        "journal_lag_s": queue.get("journal_lag_s"),
        "dead_letters": queue.get("dead_letters"),
        "decisions": decisions.get("decisions"),
        "flagged_share": decisions.get("flagged_share"),
        "accuracy": decisions.get("accuracy"),
    }


def is_bad(name: str, value: Any) -> bool:
    """Whether a value of the headline calls for somebody."""
    return value is not None and name in _BAD and _BAD[name](value)


def wrong_as_text(wrong: Sequence[Trouble]) -> str:
    """What is wrong, a line each, with the section of the runbook that says what to do."""
    if not wrong:
        return "wrong: nothing\n"
    lines = [f"  {one.what} ({one.alert})" for one in wrong]
    return "\n".join([f"wrong: {len(lines)}, see docs/RUNBOOK.md", *lines]) + "\n"


def as_text(summary: Mapping[str, Any]) -> str:
    """The summary as lines of `name: value`, a heading per part, indented by depth."""
    return "\n".join(_lines(summary, 0)) + "\n"


def _lines(value: Any, depth: int) -> Iterator[str]:
    items = value.items() if isinstance(value, Mapping) else enumerate(value, start=1)
    for name, item in items:
        indent = "  " * depth
        if isinstance(item, Mapping | list) and item and not is_figure(item):
            yield f"{indent}{worded(str(name))}:"
            yield from _lines(item, depth + 1)
        else:
            yield f"{indent}{worded(str(name))}: {measured(item, str(name))}"


def is_figure(value: Any) -> bool:
    """Whether it is a value with its bounds, which stand on one line."""
    return isinstance(value, Mapping) and value.keys() == {"value", "low", "high"}


def worded(name: str) -> str:
    """A name as people read it; its unit stands at the value.

    >>> worded("queue_oldest_age_s_score"), worded("flagged_share")
    ('queue oldest age score', 'flagged share')
    """
    return _UNIT.sub("", name).replace("_", " ")


def measured(value: Any, name: str) -> str:
    """A value with the unit that its name tells.

    >>> measured(0.00831, "canary_latency_s"), measured(2372088, "broker_memory_bytes"), measured(-0.8, "clock_skew_ms")
    ('8.31 ms', '2.37 MB', '-0.8 ms')
    >>> measured(1.5e9, "checked_at_s"), measured(None, "lag_s"), measured(0.25, "score_psi")
    ('2017-07-14 02:40:00 UTC', '-', '0.25')
    >>> measured({"value": 0.75, "low": 0.7, "high": 0.8}, "recall"), measured("0123456789abcdef", "digest")
    ('0.75 (0.7 to 0.8)', '0123456789ab')
    """
    if is_figure(value):
        return f"{readable(value['value'])} ({readable(value['low'])} to {readable(value['high'])})"
    if name == "digest" and value:
        return str(value)[:_DIGEST_SHOWN]
    unit = _UNIT.search(name)
    if unit is None or isinstance(value, bool) or not isinstance(value, int | float):
        return readable(value)
    if name.endswith("_at_s"):
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return _bytes(value) if unit[1] == "bytes" else _duration(value / 1000 if unit[1] == "ms" else value)


def _duration(seconds: float) -> str:
    size = abs(seconds)
    for limit, factor, unit in (
        (1e-6, 0, "s"),
        (1, 1e3, "ms"),
        (120, 1, "s"),
        (7200, 1 / 60, "min"),
        (172_800, 1 / 3600, "h"),
    ):
        if size < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds / 86_400:.3g} days"


def _bytes(number: float) -> str:
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} GB"


def readable(value: Any) -> str:
    """A value as people read it.

    >>> [readable(v) for v in (None, True, 0.98765432, 3.0, {})]
    ['-', 'yes', '0.9877', '3', '-']
    """
    if value is None or value in ({}, [], ""):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:.4g}"
    return str(value)
