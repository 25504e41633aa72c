"""`tollgate demo`: life for every page. Streams simulated payments, fraud and late labels at a running Tollgate."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.live import Live

from config.schema.load import load_schema
from config.settings import load_settings
from deploy.traffic.client import JsonClient, Unreachable
from deploy.traffic.driver import Driver, Pace
from deploy.traffic.payments import Mix, endless_payments
from deploy.traffic.view import status_line, summary

READY_WITHIN_S = 60.0
PLAIN_LINE_EVERY_S = 5.0
HISTORY_DAYS = 365
"""How long ago the simulated time begins: it runs faster than ours and should not overtake it."""


@click.command()
@click.option("--url", help="Where Tollgate answers.  [default: http://127.0.0.1:8000, or as TOLLGATE_PORT says]")
@click.option("--rate", type=click.FloatRange(0.1, 5000), default=20.0, show_default=True, help="Payments per second.")
@click.option("--duration", type=click.FloatRange(0), default=0.0, help="Seconds to run; 0 runs until Ctrl-C.")
@click.option("--fraud-share", type=click.FloatRange(0, 0.5), default=0.02, show_default=True, help="Share of fraud.")
@click.option("--day", type=click.FloatRange(1), default=60.0, show_default=True, help="Seconds per simulated day.")
@click.option("--connections", type=click.IntRange(1, 256), default=16, show_default=True, help="HTTP connections.")
@click.option("--schema", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The schema in use.")
@click.option("--seed", type=int, help="Seed of the random numbers, to repeat a run.")
def command(
    url: str | None,
    rate: float,
    duration: float,
    fraud_share: float,
    day: float,
    connections: int,
    schema: Path | None,
    seed: int | None,
) -> None:
    """Stream simulated traffic, fraud and late labels at a running Tollgate.

    Payments come with their account, merchant and time; some in the six-field form, some asking for an answer later.
    Labels follow after seconds to minutes. Ctrl-C ends with a summary.
    """
    settings = load_settings()
    rng = np.random.default_rng(seed)
    client = _client(url or f"http://127.0.0.1:{settings.port}")
    console = Console()
    try:
        _wait_until_ready(client, console)
        payments = endless_payments(
            load_schema(schema or settings.schema_file),
            Mix(per_day=rate * day, fraud_share=fraud_share),
            rng,
            start_at=datetime.now(UTC) - timedelta(days=HISTORY_DAYS),
            run=f"demo-{int(time.time()):x}",
        )
        label_delay_s = min(20.0, duration / 4) if duration else 20.0
        driver = Driver(client, payments, Pace(rate, duration, label_delay_s, connections), rng)
        _play(driver, console)
    finally:
        client.close()
    if not driver.tally.decided:
        raise click.ClickException(f"{client.url} decided none of {driver.tally.sent} payments.")


def _client(url: str) -> JsonClient:
    try:
        return JsonClient(url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--url") from error


def _wait_until_ready(client: JsonClient, console: Console) -> None:
    """Wait for a warmed scoring worker; a system that is not there at all is an error at once."""
    give_up_at = time.monotonic() + READY_WITHIN_S
    with console.status(f"Waiting for {client.url} to be ready ..."):
        while True:
            try:
                reply = client.get("/health")
            except Unreachable as error:
                raise click.ClickException(f"{error.detail}. Start Tollgate first: make run") from error
            if reply.status == 200:
                return
            if time.monotonic() > give_up_at:
                raise click.ClickException(
                    f"{client.url} is up, but not ready (/health says {reply.status}): {reply.body.get('detail', '')}"
                )
            time.sleep(0.5)


def _play(driver: Driver, console: Console) -> None:
    started = time.monotonic()
    with _stop_on_signals(driver), _shown(driver, console, started) as on_tick:
        driver.run(on_tick)
    console.print(summary(driver.tally, driver.waiting_labels, time.monotonic() - started))


@contextmanager
def _stop_on_signals(driver: Driver) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the run in order; a second Ctrl-C ends it at once."""

    def stop(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        driver.stop.set()

    earlier = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


@contextmanager
def _shown(driver: Driver, console: Console, started: float) -> Iterator[Callable[[], None]]:
    """A live line on a terminal; elsewhere a plain line now and then."""

    def line() -> object:
        return status_line(driver.tally, driver.waiting_labels, time.monotonic() - started)

    if console.is_terminal:
        with Live(line(), console=console, refresh_per_second=4) as live:  # type: ignore[arg-type]
            yield lambda: live.update(line())  # type: ignore[arg-type]
        return
    next_at = started + PLAIN_LINE_EVERY_S

    def print_now_and_then() -> None:
        nonlocal next_at
        if time.monotonic() >= next_at:
            next_at += PLAIN_LINE_EVERY_S
            console.print(line(), soft_wrap=True)

    yield print_now_and_then
