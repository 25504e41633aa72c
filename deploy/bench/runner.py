"""Runs a plan: each server alone, each level in turn, repetition by repetition."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import click
import msgspec

from deploy.bench.bodies import BUILTIN, HISTORY
from deploy.bench.plan import Plan
from deploy.bench.results import Report, Run
from deploy.bench.servers import CONTENDERS, Server
from deploy.bench.site import Site, fetch
from deploy.bench.stages import stages_between
from deploy.bench.tally import LoadResult
from deploy.bench.targets import BUSY

SPARE_S = 30.0
OVERLOADED = 0.9


def steps_of(plan: Plan) -> int:
    """How often `run_plan` will call `advance`."""
    loops = (len(plan.levels) + len(plan.rates) * CONTENDERS[name].open_loop for name in plan.servers)
    return sum(loops) * plan.repetitions


def run_plan(plan: Plan, report: Report, site: Site, *, advance: Callable[[str], None]) -> None:
    """Add every load run of `plan` to `report`. `advance` gets a line after each, and for each that is left out.

    Raises:
        click.ClickException: a server does not start, or the load generator fails.
    """
    for repetition in range(1, plan.repetitions + 1):
        for name in plan.servers:
            with CONTENDERS[name].start(site) as server:
                for result in _load(plan, server, report, advance, name):
                    report.runs.append(Run(name, repetition, result))


def _load(
    plan: Plan, server: Server, report: Report, advance: Callable[[str], None], name: str
) -> Iterator[LoadResult]:
    for level in plan.levels:
        before = fetch(server.port, "/prometheus") if name == "tollgate" and level == BUSY else ""
        result = generate(plan, server, connections=level)
        if before:
            report.stages = stages_between(before, fetch(server.port, "/prometheus"))
        advance(f"{name}, {level} connections: {result.requests_s:,.0f}/s, p99 {result.latency_ms.p99:,.1f} ms")
        yield result
    if CONTENDERS[name].keeps_history and BUSY in plan.levels:
        yield generate(plan, server, connections=BUSY, bodies=HISTORY)
    if not CONTENDERS[name].open_loop:
        return
    for number, rate in enumerate(plan.rates, start=1):
        result = generate(plan, server, connections=plan.open_connections, rate=rate)
        advance(f"{name}, {rate}/s offered: {result.requests_s:,.0f}/s, p99 {result.latency_ms.p99:,.1f} ms")
        yield result
        if result.requests_s < OVERLOADED * rate:
            # A higher rate would only say once more that this one is too high.
            for skipped in plan.rates[number:]:
                advance(f"{name}, {skipped}/s: left out, {rate}/s was too much")
            return


def generate(
    plan: Plan, server: Server, *, connections: int, rate: int | None = None, bodies: str = BUILTIN
) -> LoadResult:
    """One load run in a process of its own, so that nothing here disturbs its clock."""
    argv = [sys.executable, "-m", "deploy.bench.load", "--url", server.url, "--connections", str(connections)]
    argv += ["--seconds", str(plan.seconds), "--warm-up", str(plan.warm_up_s), "--timeout", str(plan.timeout_s)]
    argv += ["--bodies", bodies, *(["--rate", str(rate)] if rate else [])]
    for pid in server.pids:
        argv += ["--pid", str(pid)]
    limit_s = plan.warm_up_s + plan.seconds + plan.timeout_s + SPARE_S
    try:
        done = subprocess.run(argv, capture_output=True, check=True, timeout=limit_s)  # noqa: S603 - our own argv
    except subprocess.SubprocessError as error:
        raise click.ClickException(f"the load generator failed: {error}") from error
    return msgspec.convert(json.loads(done.stdout), LoadResult)
