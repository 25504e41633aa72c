"""The load generator: keep-alive HTTP/1.1 over raw sockets, one process, loopback only.

For tuning a running server by hand, each command prints one line of JSON:

    python -m deploy.bench.load --url http://127.0.0.1:8000/predict --connections 32 --seconds 8
    python -m deploy.bench.load --connections 256 --rate 1000 --seconds 8       # open loop, 1,000 requests/s
    python -m deploy.bench.load --connections 32 --pid 4711                     # CPU of 4711 and its children

`--bodies` takes `builtin` (1,000 different payments of the six derived fields), `history` (1,000 that name an
account and a merchant instead, whose history is looked up) or a file with one JSON document a line. The bodies
are sent in turn. Without `--rate` each connection sends its next request when
the last one was answered (closed loop). In the result `requests_s` counts answers with status 200,
`cpu.ms_per_request` is the CPU time of the given process trees over all answers of the window, and
`generator_cpu_s` what the generator itself took: the machine is shared, so it matters.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter, process_time

import click

from deploy.bench.bodies import BUILTIN, read_bodies
from deploy.bench.engine import Engine
from deploy.bench.pace import ClosedLoop, OpenLoop, Pace
from deploy.bench.processes import ProcessTrees
from deploy.bench.tally import Latency, LoadResult, Tally
from deploy.bench.wire import parse_target, request_bytes

MAX_CONNECTIONS = 4096
MAX_REQUESTS_PLANNED = 10_000_000


@dataclass(frozen=True, slots=True)
class Load:
    """What to send. `rate` (requests per second) makes it an open loop; None a closed one.

    `bodies`: `builtin`, `history`, or the name of a file with one JSON document a line.
    """

    url: str
    bodies: str = BUILTIN
    connections: int = 32
    rate: float | None = None
    seconds: float = 8.0
    warm_up_s: float = 2.0
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if not 1 <= self.connections <= MAX_CONNECTIONS:
            raise ValueError(f"connections must be 1 to {MAX_CONNECTIONS}, not {self.connections}")
        if self.seconds <= 0 or self.warm_up_s < 0 or self.timeout_s <= 0:
            raise ValueError("seconds and timeout must be above 0, warm-up at least 0")
        if self.rate is not None and not 0 < self.rate * self.seconds <= MAX_REQUESTS_PLANNED:
            raise ValueError(f"rate x seconds must be above 0 and at most {MAX_REQUESTS_PLANNED}")

    def pace(self, *, start_at: float, stop_at: float) -> Pace:
        if self.rate is None:
            return ClosedLoop(stop_at)
        return OpenLoop(self.rate, start_at=start_at, stop_at=stop_at)


def run_load(load: Load, *, pids: Sequence[int] = ()) -> LoadResult:
    """Run one load and return what was counted. Takes `warm_up_s` + `seconds`, at most `timeout_s` more.

    `pids` are the roots of the server's process trees; their CPU time and memory are measured.

    Raises:
        ValueError: the URL is not on this machine, or there are no bodies.
        OSError: the file of bodies cannot be read.
    """
    target = parse_target(load.url)
    requests = [request_bytes(target, body) for body in read_bodies(load.bodies)]
    engine = Engine(target, requests, connections=load.connections, timeout_s=load.timeout_s)
    trees, own_cpu_s = ProcessTrees(pids), []
    start_at = perf_counter()
    tally = Tally(start_at + load.warm_up_s, start_at + load.warm_up_s + load.seconds)
    pace = load.pace(start_at=start_at, stop_at=tally.closes_at)

    def on_open() -> None:
        trees.start()
        own_cpu_s.append(process_time())

    def on_close() -> None:
        own_cpu_s.append(process_time())
        trees.stop()

    engine.run(pace, tally, on_open=on_open, on_close=on_close)
    return _result(load, tally, generator_cpu_s=own_cpu_s[1] - own_cpu_s[0], trees=trees if pids else None)


def _result(load: Load, tally: Tally, *, generator_cpu_s: float, trees: ProcessTrees | None) -> LoadResult:
    completed = sum(tally.statuses.values())
    return LoadResult(
        url=load.url,
        bodies=load.bodies,
        mode="closed" if load.rate is None else "open",
        connections=load.connections,
        rate=load.rate,
        seconds=load.seconds,
        requests_s=round(tally.statuses[200] / load.seconds, 1),
        completed=completed,
        statuses={str(status): count for status, count in sorted(tally.statuses.items())},
        errors=dict(sorted(tally.errors.items())),
        timeouts=tally.timeouts,
        unsent=tally.unsent,
        latency_ms=Latency.of(tally.latencies),
        generator_cpu_s=round(generator_cpu_s, 3),
        cpu=_cost(trees, completed) if trees else {},
    )


def _cost(trees: ProcessTrees, completed: int) -> dict[str, object]:
    spent = trees.cpu_s_by_kind()
    total = sum(spent.values())
    memory = trees.memory_mb_by_kind()
    return {
        "seconds_by_kind": spent,
        "ms_per_request": round(total / completed * 1000, 3) if completed else None,
        "memory_mb_by_kind": memory,
        "memory_mb": round(sum(memory.values()), 1),
    }


@click.command()
@click.option("--url", default="http://127.0.0.1:8000/predict", show_default=True, help="Where to POST.")
@click.option("--connections", default=32, show_default=True, help="Keep-alive connections.")
@click.option("--rate", type=float, help="Open loop: requests per second. Without it the loop is closed.")
@click.option("--seconds", default=8.0, show_default=True, help="Length of the window that is measured.")
@click.option("--warm-up", "warm_up_s", default=2.0, show_default=True, help="Seconds of load before it.")
@click.option("--timeout", "timeout_s", default=10.0, show_default=True, help="Seconds to wait for an answer.")
@click.option("--bodies", default="builtin", show_default=True, help="`builtin`, `history`, or a file.")
@click.option("--pid", "pids", type=int, multiple=True, help="Root of a process tree to measure; repeatable.")
def main(pids: tuple[int, ...], **load: object) -> None:
    """Load a server on this machine and print what was counted as one line of JSON."""
    try:
        plan = Load(**load)  # type: ignore[arg-type]
        gc.disable()  # a collection in the window would show up as the server's latency
        click.echo(json.dumps(run_load(plan, pids=pids).as_dict()))
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
