"""`tollgate simulate`: simulated transactions in a file, to train on or to look at."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click
import numpy as np
import pandas as pd

from config.schema.load import load_schema
from config.schema.model import Schema
from config.settings import load_settings
from ml.simulator import simulate_payments, simulate_table

PAYMENT_FIELDS = {"amount", "merchant_category", "account_id", "timestamp"}


@click.command()
@click.option("--rows", type=click.IntRange(1), default=60_000, show_default=True, help="How many transactions.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help=".csv, .parquet or .ndjson."
)
@click.option("--schema", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="[TOLLGATE_SCHEMA_FILE].")
@click.option("--days", type=click.FloatRange(0.01), default=90.0, show_default=True, help="Days that they span.")
@click.option("--start", type=click.DateTime(), default="2026-01-01", show_default=True, help="First day, UTC.")
@click.option("--fraud-share", type=click.FloatRange(0, 0.5), default=0.012, show_default=True, help="Share of fraud.")
@click.option("--drift-day", type=float, help="Day from which fraud has a new pattern.")
@click.option("--pattern", is_flag=True, help="Add the column `pattern`: why it is fraud (for analysis only).")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the random numbers.")
def command(
    rows: int,
    out: Path,
    schema: Path | None,
    days: float,
    start: datetime,
    fraud_share: float,
    drift_day: float | None,
    pattern: bool,
    seed: int,
) -> None:
    """Write simulated transactions with fraud, labels and the time each label becomes known.

    For the payment schema, and any with its fields, accounts and merchants have habits and fraud has patterns; for
    other schemas the values are random and the label depends on some of them.
    """
    write = _writer(out)
    declared = load_schema(schema or load_settings().schema_file)
    start_at, rng = start.replace(tzinfo=UTC), np.random.default_rng(seed)
    if not _is_payment(declared):
        _refuse_for_tables(drift_day, pattern)
        frame = simulate_table(declared, rows, rng, fraud_share=fraud_share, days=days, start_at=start_at)
    else:
        frame = simulate_payments(
            declared,
            rows,
            rng,
            start_at=start_at,
            days=days,
            fraud_share=fraud_share,
            drift_day=drift_day,
            with_pattern=pattern,
        )
    write(frame)
    share = frame[declared.roles.label or "is_fraud"].mean()
    click.echo(f"{out}: {len(frame):,} transactions of schema {declared.name}, {share:.2%} fraud")


def _is_payment(schema: Schema) -> bool:
    return {field.name for field in schema.fields} >= PAYMENT_FIELDS


def _refuse_for_tables(drift_day: float | None, pattern: bool) -> None:
    if drift_day is not None or pattern:
        needed = ", ".join(sorted(PAYMENT_FIELDS))
        raise click.UsageError(f"--drift-day and --pattern need a schema with the fields {needed}.")


def _writer(out: Path) -> Callable[[pd.DataFrame], None]:
    writers: dict[str, Callable[[pd.DataFrame], None]] = {
        ".csv": lambda frame: _readable(frame).to_csv(out, index=False),
        ".parquet": lambda frame: frame.to_parquet(out, index=False),
        ".ndjson": lambda frame: _write_ndjson(frame, out),
        ".jsonl": lambda frame: _write_ndjson(frame, out),
    }
    if out.suffix not in writers:
        raise click.UsageError(f"--out {out}: the name must end in {', '.join(writers)}.")
    if not out.absolute().parent.is_dir():
        raise click.UsageError(f"--out {out}: there is no directory {out.absolute().parent}.")
    return writers[out.suffix]


def _readable(frame: pd.DataFrame) -> pd.DataFrame:
    """Times as RFC 3339 text: both the API and training read it."""
    times = frame.select_dtypes("datetimetz").columns
    return frame.assign(**{name: frame[name].dt.strftime("%Y-%m-%dT%H:%M:%S.%f").str[:-3] + "Z" for name in times})


def _write_ndjson(frame: pd.DataFrame, out: Path) -> None:
    with out.open("w", encoding="utf-8") as file:
        for row in _readable(frame).astype(object).to_dict("records"):
            sent = {name: value for name, value in row.items() if not pd.isna(value)}
            file.write(json.dumps(sent) + "\n")
