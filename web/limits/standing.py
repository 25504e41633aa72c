"""How a client stands with a budget, as it is told: RateLimit headers, or 429."""

from __future__ import annotations

import math
from typing import NamedTuple

from config.errors import RateLimited
from web.answer import Answer
from web.limits.budgets import BudgetName
from web.problems import problem_answer


class Standing(NamedTuple):
    """One budget after this request. `remaining` is as of the last look at Redis: what this process may still spend,
    and what others had left then.
    """

    budget: BudgetName
    rate: str
    limit: int
    remaining: int
    resets_in_s: float
    is_spent: bool = False

    def headers(self) -> list[tuple[str, str]]:
        """RateLimit-Limit, -Remaining, -Reset: requests, requests, seconds (draft-ietf-httpapi-ratelimit-headers)."""
        return [
            ("RateLimit-Limit", str(self.limit)),
            ("RateLimit-Remaining", str(self.remaining)),
            ("RateLimit-Reset", str(max(1, math.ceil(self.resets_in_s)))),
        ]


def limited_answer(standing: Standing) -> Answer:
    """429 for a budget that is used up, with its name and the seconds until it is there again."""
    error = RateLimited(
        f"the budget {standing.budget!r} ({standing.rate}) is used up", retry_after_s=standing.resets_in_s
    )
    answer = problem_answer(error, extra={"budget": standing.budget})
    answer.headers.extend(standing.headers())
    return answer


def tightest(standings: list[Standing]) -> Standing | None:
    """The one that a client should know of: used up, or with the smallest share left."""
    return min(standings, key=lambda one: (not one.is_spent, one.remaining / one.limit), default=None)
