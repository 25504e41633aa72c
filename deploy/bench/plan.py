"""What one benchmark run does: which servers, how long, how often."""

from __future__ import annotations

from dataclasses import dataclass

SERVERS = ("tollgate", "tollgate_everysec", "empty", "in_process", "plain_queue")


@dataclass(frozen=True, slots=True)
class Plan:
    """`levels`: connections of the closed loops; `rates`: requests per second of the open ones; times in seconds.

    Each repetition starts every server once, alone, so that a machine that drifts hits all of them.
    """

    servers: tuple[str, ...] = SERVERS
    levels: tuple[int, ...] = (1, 8, 32, 128)
    rates: tuple[int, ...] = (250, 500, 1000, 2000)
    open_connections: int = 256
    seconds: float = 4.0
    warm_up_s: float = 1.0
    timeout_s: float = 10.0
    repetitions: int = 3

    def __post_init__(self) -> None:
        unknown = set(self.servers) - set(SERVERS)
        if unknown:
            raise ValueError(f"unknown server {', '.join(sorted(unknown))}; there are {', '.join(SERVERS)}")


FULL = Plan()
QUICK = Plan(
    servers=("tollgate", "empty", "in_process", "plain_queue"),
    levels=(1, 32),
    rates=(250, 1000),
    seconds=2.0,
    warm_up_s=1.0,
    timeout_s=5.0,
    repetitions=1,
)
