"""A fleet of machines answering payments that arrive at random: one run of the simulation.

As in the system: each web process has one batch in flight, of at most `max_rows` rows, and sends the next as soon as
it is answered; a scoring worker takes one message at a time and waits for the broker while it observes and commits; the
broker is one thread and syncs its file once a round. Simpler: no network but a fixed time each way, no variation in the
work itself, no garbage collection, no scheduler. So tails are shorter than real ones.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from functools import partial

from deploy.bench.fleet.costs import Costs
from deploy.bench.fleet.servers import Broker, Clock, Event, Interpreter, Processors
from deploy.bench.fleet.site import Fleet, Outcome

# Push and pop, observe, commit: a message costs the broker about the same in each.
COMMANDS = 3


@dataclass
class WebProcess:
    """One coalescer: rows inside, those that wait for a batch (by when they arrived), whether one is out."""

    interpreter: Interpreter
    row_s: float
    inside: int = 0
    waiting: deque[float] = field(default_factory=deque)
    is_out: bool = False


@dataclass(slots=True)
class Batch:
    """Rows on their way, by when they arrived, the web process that waits, and the worker that has it."""

    web: WebProcess
    arrived: list[float]
    worker: int = -1


@dataclass(slots=True)
class Counts:
    """What comes and what leaves after the warm-up; batches and their rows from the beginning."""

    offered: int = 0
    refused: int = 0
    batches: int = 0
    rows: int = 0
    latencies: list[float] = field(default_factory=list)


class Simulation:
    """`run` plays `seconds` of payments that arrive at `rate` a second, at random, evenly over the web processes."""

    def __init__(self, fleet: Fleet, costs: Costs, *, rate: float, seconds: float, seed: int = 1) -> None:
        self._fleet = fleet
        self._costs = costs
        self._rate = rate
        self._seconds = seconds
        self._warm_up_s = seconds / 10
        self._rng = random.Random(seed)  # noqa: S311  payments, not secrets
        self._clock = Clock()
        self._cores = [Processors(fleet.cores) for _ in range(fleet.machines)]
        self._broker = Broker(self._clock, costs.sync_s, None if fleet.has_own_broker else self._cores[0])
        self._web = [self._web_process(number % fleet.machines) for number in range(fleet.web)]
        self._idle = list(range(fleet.scoring))
        self._queue: deque[Batch] = deque()
        self._counts = Counts()

    def run(self) -> Outcome:
        """Play it to the end. The first tenth is warm-up and not counted."""
        self._next_arrival(0.0)
        self._clock.run(self._seconds)
        return self._outcome()

    def _web_process(self, machine: int) -> WebProcess:
        generator_s = self._fleet.generator_row_s if machine == 0 else 0.0
        interpreter = Interpreter(self._clock, self._cores[machine])
        return WebProcess(interpreter, self._costs.web.row_s + generator_s)

    def _next_arrival(self, now: float) -> None:
        self._clock.at(now + self._rng.expovariate(self._rate), self._arrive)

    def _arrive(self, now: float) -> None:
        web = self._web[self._rng.randrange(len(self._web))]
        is_counted = now >= self._warm_up_s
        self._counts.offered += is_counted
        if web.inside < self._fleet.capacity:
            web.inside += 1
            web.interpreter.work(now, web.row_s / 2, lambda at: self._wait(web, at, now))
        else:
            self._counts.refused += is_counted
        self._next_arrival(now)

    def _wait(self, web: WebProcess, now: float, arrived: float) -> None:
        web.waiting.append(arrived)
        if not web.is_out:
            self._dispatch(web, now)

    def _dispatch(self, web: WebProcess, now: float) -> None:
        rows = [web.waiting.popleft() for _ in range(min(len(web.waiting), self._fleet.max_rows))]
        batch = Batch(web, rows)
        web.is_out = True
        web.interpreter.work(now, self._costs.web.message_s / 2, lambda at: self._push(at, batch))

    def _push(self, now: float, batch: Batch) -> None:
        self._ask(now, rows=0.0, then=lambda at: self._enqueue(at, batch))

    def _ask(self, now: float, *, rows: float, then: Event) -> None:
        """One command to the broker and back; `rows`: those whose work is done in it."""
        work_s = self._costs.valkey.message_s / COMMANDS + self._costs.valkey.row_s * rows
        hop_s = self._fleet.hop_s

        def back(at: float) -> None:
            self._clock.at(at + hop_s, then)

        self._clock.at(now + hop_s, lambda at: self._broker.ask(at, work_s, back))

    def _enqueue(self, now: float, batch: Batch) -> None:
        self._queue.append(batch)
        self._take(now)

    def _take(self, now: float) -> None:
        while self._queue and self._idle:
            batch = self._queue.popleft()
            batch.worker = self._idle.pop()
            self._observe(now, batch)

    def _observe(self, now: float, batch: Batch) -> None:
        self._ask(now, rows=len(batch.arrived) / 2, then=lambda at: self._score(at, batch))

    def _score(self, now: float, batch: Batch) -> None:
        cores = self._cores[batch.worker % self._fleet.machines]
        done = cores.serve(now, self._costs.scoring.of(len(batch.arrived)))
        self._clock.at(done, lambda at: self._commit(at, batch))

    def _commit(self, now: float, batch: Batch) -> None:
        self._ask(now, rows=len(batch.arrived) / 2, then=lambda at: self._answer(at, batch))

    def _answer(self, now: float, batch: Batch) -> None:
        self._idle.append(batch.worker)
        self._take(now)
        self._counts.batches += 1
        self._counts.rows += len(batch.arrived)
        # The background worker writes the ledger meanwhile, wherever there is room.
        self._rng.choice(self._cores).serve(now, self._costs.background.of(len(batch.arrived)))
        self._reply(now, batch)

    def _reply(self, now: float, batch: Batch) -> None:
        web = batch.web
        web.is_out = False
        if web.waiting:
            self._dispatch(web, now)
        web.interpreter.work(now, self._costs.web.message_s / 2, lambda _: None)
        for arrived in batch.arrived:
            web.interpreter.work(now, web.row_s / 2, partial(self._leave, web, arrived))

    def _leave(self, web: WebProcess, arrived: float, now: float) -> None:
        web.inside -= 1
        if now >= self._warm_up_s:
            self._counts.latencies.append(now - arrived)

    def _outcome(self) -> Outcome:
        counted_s = self._seconds - self._warm_up_s
        counts, latencies = self._counts, sorted(self._counts.latencies)
        return Outcome(
            offered_s=counts.offered / counted_s,
            answered_s=len(latencies) / counted_s,
            p50_ms=1000 * _quantile(latencies, 0.5),
            p99_ms=1000 * _quantile(latencies, 0.99),
            refused_share=counts.refused / max(1, counts.offered),
            rows_a_batch=counts.rows / max(1, counts.batches),
            broker_busy=min(1.0, self._broker.busy_s / self._seconds),
        )


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
