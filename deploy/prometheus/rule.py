"""How a rule is declared, and the times in it, which tests shrink."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

RUNBOOK = "docs/RUNBOOK.md"
Severity = Literal["critical", "warning"]
"""critical: money or answers are lost now, wake somebody. warning: look at it today."""


@dataclass(frozen=True, slots=True)
class Times:
    """Turns seconds into what a rule says. `scale` below 1 makes every time shorter, so that a test need not wait.

    `least_s`: no window is shorter: a rate needs several scrapes. `most_s`: no wait and no age is longer: two days
    without a label are too many for a test, however much they shrink.

    >>> Times()(300), Times(scale=0.01, least_s=4)(300), Times(scale=0.01, most_s=6).limit(172_800)
    ('300s', '4s', '6')
    """

    scale: float = 1.0
    least_s: float = 0.0
    most_s: float = math.inf

    def __call__(self, seconds: float) -> str:
        """A window of a range selector."""
        return _duration(max(seconds * self.scale, self.least_s))

    def wait(self, seconds: float) -> str:
        """How long a condition must hold."""
        return _duration(min(seconds * self.scale, self.most_s))

    def limit(self, seconds: float) -> str:
        """A number of seconds that an age is compared with."""
        return f"{min(seconds * self.scale, self.most_s):g}"


def _duration(seconds: float) -> str:
    return f"{seconds:g}s" if seconds == round(seconds) else f"{round(seconds * 1000)}ms"


Expression = Callable[[Times], str]


@dataclass(frozen=True, slots=True)
class Recording:
    """A series that Prometheus computes at each evaluation: `tollgate:what:how`."""

    name: str
    expression: Expression


@dataclass(frozen=True, slots=True)
class Alert:
    """Fires once `expression` has had a result for `wait_s`. `summary` may show `{{ $value }}` and labels."""

    name: str
    expression: Expression
    wait_s: float
    severity: Severity
    summary: str

    @property
    def anchor(self) -> str:
        """Its heading in the runbook, as a link names it."""
        return self.name.lower()
