"""The gateway as the whole web side sees it: transactions, the state of what is behind it, and the desks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from config.contracts import WorkerReport
from config.queue.pulse import Slot
from config.queue.stats import WorkerBeat
from web.ports.desks import DeadLetterDesk, ReplayDesk, ReviewDesk
from web.ports.transactions import TransactionGateway


@dataclass(frozen=True, slots=True)
class Health:
    """Is anything behind this web process able to score?

    `is_ready`: a warmed scoring worker answered a canary recently. `champion` is None while no model is
    promoted. `workers` are the processes that reported within the last heartbeats.
    """

    is_ready: bool
    is_broker_up: bool
    model_version: str | None = None
    champion: Mapping[str, Any] | None = None
    workers: Sequence[WorkerReport] = ()
    canary_age_s: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ReloadReport:
    """Each scoring worker's answer to one reload; `agreed` when all that were expected serve the champion."""

    workers: Sequence[WorkerReport]
    agreed: bool


class ScoringGateway(TransactionGateway, Protocol):
    """The gateway with what is the operator's, and the desks."""

    def health(self, *, wait: bool = True) -> Health:
        """Never raises: a broker that cannot be reached is a `Health` that says so.

        `wait`: for a canary, where the last answer is old; else what the last one said, however old.
        """

    def reload(self, *, timeout_s: float) -> ReloadReport:
        """Ask every scoring worker to load the champion and collect the answers. Raises BrokerUnavailable."""

    @property
    def dead_letters(self) -> DeadLetterDesk:
        """Accepted work that was given up."""

    @property
    def replays(self) -> ReplayDesk:
        """Rebuilding of single decisions."""

    @property
    def reviews(self) -> ReviewDesk:
        """Who is looking at which case of the review queue."""

    def pulse(self, *, for_s: int) -> Sequence[Slot]:
        """What happened in the last `for_s` seconds, oldest first. Raises BrokerUnavailable."""

    def worker_beats(self) -> Sequence[WorkerBeat]:
        """Every worker that reported in the last hour, the silent ones too. Raises BrokerUnavailable."""

    def drift_stats(self) -> dict[str, float]:
        """The numbers of the last drift check; empty before the first. Raises BrokerUnavailable."""

    def queue_stats(self) -> dict[str, float]:
        """Depths and sizes, by the keys of `config.metrics.shared.QUEUE_GAUGES`. Raises BrokerUnavailable."""
