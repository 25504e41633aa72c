"""`tollgate bench`: Tollgate beside other ways to serve the same model, measured on this machine."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from config.settings import load_settings
from deploy.bench.bulk import BulkPlan, run_bulk
from deploy.bench.bulk_report import bulk_markdown, write_bulk_report
from deploy.bench.machine import describe_machine
from deploy.bench.model import prepare_models
from deploy.bench.plan import FULL, QUICK, SERVERS, Plan
from deploy.bench.report import as_markdown, machine_line, write_report
from deploy.bench.results import Report
from deploy.bench.runner import run_plan, steps_of
from deploy.bench.site import Site
from deploy.bench.targets import judge

BASELINE_PACKAGES = ("fastapi", "uvicorn", "sklearn")
REPOSITORY = Path(__file__).resolve().parents[2]


@click.command()
@click.option("--quick", is_flag=True, help="One short repetition (about a minute and a half), nothing written.")
@click.option("--server", "servers", multiple=True, type=click.Choice(SERVERS), help="Only these; repeatable.")
@click.option("--level", "levels", multiple=True, type=click.IntRange(1, 4096), help="Connections; repeatable.")
@click.option("--rate", "rates", multiple=True, type=click.IntRange(1, 100_000), help="Open loop; repeatable.")
@click.option("--seconds", type=click.FloatRange(0.1, 600), help="Length of each window.")
@click.option("--repetitions", type=click.IntRange(1, 20), help="How often every server is measured.")
@click.option("--bulk", is_flag=True, help="Measure batches instead of single payments.")
@click.option("--rows", type=click.IntRange(1000, 10_000_000), help="Rows of the batch (with --bulk).")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), help="Where the report is written.")
def command(quick: bool, bulk: bool, rows: int | None, output: Path | None, **choices: object) -> None:
    """Measure this machine: Tollgate beside other ways to serve.

    Starts each server alone and loads it. The full run writes docs/benchmarks.md and docs/benchmarks.json.
    """
    require_baselines()
    require_packages()
    if bulk:
        repetitions = choices["repetitions"]
        measure_bulk(bulk_plan(rows=rows, repetitions=repetitions if isinstance(repetitions, int) else None), output)
        return
    given = {name: value for name, value in choices.items() if value}
    plan = dataclasses.replace(QUICK if quick else FULL, **given)  # type: ignore[arg-type]
    report = measure(plan, load_settings().data_dir.resolve() / "bench")
    if output is None and not (quick or given):
        output = REPOSITORY / "docs"
    if output is not None:
        write_report(report, output)
    click.echo(as_markdown(report))
    for verdict in judge(report):
        click.echo(f"{verdict.outcome:>12}  {verdict.target}", err=True)


def bulk_plan(*, rows: int | None, repetitions: int | None) -> BulkPlan:
    """The full plan, or a smaller one: the second batch and its window shrink with the first."""
    plan = BulkPlan()
    if rows is not None:
        seconds = max(1.0, min(plan.idle_s, rows / 50_000))
        plan = dataclasses.replace(plan, rows=rows, rows_beside=max(1000, rows * 3 // 10), idle_s=seconds)
    return dataclasses.replace(plan, repetitions=repetitions) if repetitions else plan


def measure_bulk(plan: BulkPlan, output: Path | None) -> None:
    """Run the bulk plan and print its table; the full one is written into docs/."""
    machine_dir = load_settings().data_dir.resolve() / "bench"
    with site_in(machine_dir) as site:
        machine = describe_machine(machine_dir)
        prepare_models(site)
        runs = run_bulk(plan, site, advance=lambda line: click.echo(line, err=True))
    about = f"{_now()}, `{_command_line()}`: {machine_line(machine)} Repetitions: {plan.repetitions}."
    if output is None and plan == BulkPlan():
        output = REPOSITORY / "docs"
    if output is not None:
        write_bulk_report(plan, runs, about, output)
    click.echo(bulk_markdown(plan, runs, about))


@contextmanager
def site_in(work_dir: Path) -> Iterator[Site]:
    """A site in `work_dir`, which is emptied first and removed at the end; after a failure it stays, with its logs."""
    shutil.rmtree(work_dir, ignore_errors=True)
    work_dir.mkdir(parents=True)
    site = Site(work_dir, REPOSITORY)
    try:
        yield site
    finally:
        site.close()
    shutil.rmtree(work_dir)


def require_baselines() -> None:
    """Return when the servers to compare with are there.

    Raises:
        click.ClickException: this is not a source checkout.
    """
    if not (REPOSITORY / "tests" / "benchmarks").is_dir():
        raise click.ClickException("the baselines are in tests/benchmarks of the source tree: run this from a clone")


def require_packages() -> None:
    """Return when the baselines' packages are installed; looking for them imports nothing.

    Raises:
        ModuleNotFoundError: one is missing; the command line then names the extra that brings it.
    """
    for package in BASELINE_PACKAGES:
        if find_spec(package) is None:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)


def measure(plan: Plan, work_dir: Path) -> Report:
    """Run the plan in `work_dir` with a progress bar on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with site_in(work_dir) as site, Progress(*columns, console=Console(stderr=True)) as progress:
        machine = describe_machine(work_dir)
        task = progress.add_task("preparing the model", total=steps_of(plan))
        model = prepare_models(site)
        report = Report(_now(), _command_line(), machine, model, plan)
        run_plan(plan, report, site, advance=lambda line: progress.update(task, advance=1, description=line))
    return report


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _command_line() -> str:
    return " ".join(["tollgate", *sys.argv[1:]])
