"""`tollgate demo`: life for every page. Streams simulated payments, fraud, files and late labels at Tollgate.

Where none is up on this machine it starts one, for as long as the demo runs.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.live import Live

from config.schema.load import load_schema
from config.schema.model import Schema
from config.settings import Settings, load_settings
from deploy.access import api_key_option, key_for
from deploy.traffic.client import JsonClient, Unreachable
from deploy.traffic.driver import Driver, Pace
from deploy.traffic.own_system import OwnSystem, own_system
from deploy.traffic.payments import Mix, Payment, recent_payments
from deploy.traffic.view import status_line, summary

READY_WITHIN_S = 60.0
OWN_READY_WITHIN_S = 600.0
PLAIN_LINE_EVERY_S = 5.0
HISTORY_DAYS = 30
"""How long ago the simulated time begins."""
LABEL_DELAY_S = 6.0
SEED_FORM_SHARE = 0.02
"""They carry no time and happen today; more of them would be reported as drift, and rightly."""
UPLOADS_PER_DAY = 100.0


@click.command()
@click.option("--url", help="Where Tollgate answers.  [default: http://127.0.0.1:8000, or as TOLLGATE_PORT says]")
@api_key_option
@click.option("--rate", type=click.FloatRange(0.1, 5000), default=40.0, show_default=True, help="Payments per second.")
@click.option("--duration", type=click.FloatRange(0), default=0.0, help="Seconds to run; 0 runs until Ctrl-C.")
@click.option("--fraud-share", type=click.FloatRange(0, 0.5), default=0.03, show_default=True, help="Share of fraud.")
@click.option("--day", type=click.FloatRange(1), default=3.0, show_default=True, help="Seconds per simulated day.")
@click.option("--connections", type=click.IntRange(1, 256), default=16, show_default=True, help="HTTP connections.")
@click.option("--schema", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The schema in use.")
@click.option("--seed", type=int, help="Seed of the random numbers, to repeat a run.")
def command(
    url: str | None,
    api_key: str | None,
    rate: float,
    duration: float,
    fraud_share: float,
    day: float,
    connections: int,
    schema: Path | None,
    seed: int | None,
) -> None:
    """Stream simulated traffic, fraud and late labels at a running Tollgate; without one, start it.

    Payments of the last 30 days come with their account, merchant and time; some in the six-field form, some asking
    for an answer later, some in files. Labels follow after seconds. A Tollgate that is started here stops with the
    demo. Ctrl-C ends with a summary.
    """
    settings = load_settings()
    rng = np.random.default_rng(seed)
    client = _client(url or f"http://127.0.0.1:{settings.port}", settings, api_key)
    console = Console()
    with ExitStack() as cleanup:
        cleanup.callback(client.close)
        own = None if url or _answers(client) else cleanup.enter_context(own_system(data_dir=settings.data_dir))
        _wait_until_ready(client, console, own)
        if own is not None:  # it has made the development key meanwhile
            client = _client(client.url, settings, api_key)
            cleanup.callback(client.close)
        console.print(f"Watch it: {client.url}/console", highlight=False)
        mix = Mix(per_day=rate * day, fraud_share=fraud_share, seed_form_share=SEED_FORM_SHARE)
        streams = _streams(load_schema(schema or settings.schema_file), mix, rng)
        label_delay_s = min(LABEL_DELAY_S, duration / 4) if duration else LABEL_DELAY_S
        driver = Driver(
            client, next(streams), Pace(rate, duration, label_delay_s, connections), rng, uploads=next(streams)
        )
        _play(driver, console)
    if not driver.tally.decided and not driver.stop.is_set():  # who stops it at once has seen no failure
        raise click.ClickException(f"{client.url} decided none of {driver.tally.sent} payments.")


def _streams(schema: Schema, mix: Mix, rng: np.random.Generator) -> Iterator[Iterator[Payment]]:
    """Payments to send one by one, and others for files."""
    run = f"demo-{int(time.time()):x}"
    files = replace(mix, per_day=UPLOADS_PER_DAY, seed_form_share=0.0, async_share=0.0)
    for name, kind in (("", mix), ("f", files)):
        # Each has a generator of its own: they are drawn from in different threads.
        yield recent_payments(
            schema, kind, rng.spawn(1)[0], days=HISTORY_DAYS, run=f"{run}{name}", now=lambda: datetime.now(UTC)
        )


def _client(url: str, settings: Settings, api_key: str | None) -> JsonClient:
    try:
        return JsonClient(url, key=key_for(url, settings, api_key))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--url") from error


def _answers(client: JsonClient) -> bool:
    try:
        client.get("/health")
    except Unreachable:
        return False
    return True


def _wait_until_ready(client: JsonClient, console: Console, own: OwnSystem | None) -> None:
    """Wait for a warmed scoring worker; a system that is not there at all is an error at once, unless it is our own."""
    give_up_at = time.monotonic() + (READY_WITHIN_S if own is None else OWN_READY_WITHIN_S)
    # Our own system prints what it does: no line may turn above it.
    with console.status(f"Waiting for {client.url} to be ready ...") if own is None else nullcontext():
        while (told := _readiness(client, own)) is not None:
            if time.monotonic() > give_up_at:
                raise click.ClickException(told)
            time.sleep(0.5)


def _readiness(client: JsonClient, own: OwnSystem | None) -> str | None:
    """None: ready; else what is wrong. Raises ClickException when waiting is of no use."""
    if own is not None:
        own.require_running()
    try:
        reply = client.get("/health")
    except Unreachable as error:
        if own is None:
            raise click.ClickException(f"{error.detail}. Start Tollgate first: make run") from error
        return error.detail
    told = f"{client.url} is up, but not ready (/health says {reply.status}): {reply.body.get('detail', '')}"
    return None if reply.status == 200 else told


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
