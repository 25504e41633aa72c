"""How long a command waits for its server: as long as it is asked to, and not for ever without an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from deploy.bulk.patience import Patience
from deploy.bulk.server import Answered
from deploy.traffic.client import Unreachable

HOUR_S = 3600.0


@dataclass
class Waiting:
    """A clock that `sleep` moves, and a server that answers `later` for an hour, then 200."""

    later: Callable[[], Answered]
    now: float = 0.0
    patience: Patience = field(init=False)

    def __post_init__(self) -> None:
        self.patience = Patience(sleep=self.sleep, clock=lambda: self.now)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def answer(self) -> Answered:
        return self.later() if self.now < HOUR_S else Answered(200, {}, {})


@pytest.mark.parametrize(("status", "body"), [(429, {}), (409, {"code": "request_in_progress"})])
def test_a_server_that_asks_to_wait_is_waited_for(status: int, body: dict[str, object]) -> None:
    waiting = Waiting(lambda: Answered(status, body, {}))

    assert waiting.patience.ask(waiting.answer).status == 200
    assert waiting.now >= HOUR_S


def unreachable() -> Answered:
    raise Unreachable("connection refused")


@pytest.mark.parametrize("later", [unreachable, lambda: Answered(502, {}, {}), lambda: Answered(503, {}, {})])
def test_a_server_that_cannot_answer_is_given_up_after_a_quarter_of_an_hour(later: Callable[[], Answered]) -> None:
    waiting = Waiting(later)

    with pytest.raises(Unreachable, match="no answer for 900 s"):
        waiting.patience.ask(waiting.answer)
    assert 900 < waiting.now < 910


def test_the_quarter_of_an_hour_begins_anew_with_each_answer() -> None:
    down_after_s = 2000.0
    waiting = Waiting(lambda: Answered(429, {}, {}) if waiting.now < down_after_s else unreachable())

    with pytest.raises(Unreachable):
        waiting.patience.ask(waiting.answer)
    assert waiting.now > down_after_s + 900
