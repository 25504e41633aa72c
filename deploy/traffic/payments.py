"""An endless sequence of payments as JSON bodies, with what each really was. Pure but for the random numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from config.schema.model import Schema
from ml.simulator import Population, draw_population, simulate_payments, simulate_table

CHUNK_PAYMENTS: Final = 20_000
SEED_FORM: Final = ("amount", "hour", "day_of_week", "merchant_category", "previous_amount", "time_since_last")
RAW_FORM: Final = ("amount", "merchant_category", "account_id", "timestamp")
PAYMENTS_PER_ACCOUNT_DAY: Final = 0.6

Form = Literal["raw", "seed"]


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment to send. `body`: what to post; `event_at`: when it happened, in simulated time."""

    body: dict[str, Any]
    event_at: datetime
    is_fraud: bool
    form: Form
    prefers_async: bool


@dataclass(frozen=True, slots=True)
class Mix:
    """What the traffic is made of; shares are 0..1. `per_day`: payments of one simulated day."""

    per_day: float
    fraud_share: float = 0.02
    seed_form_share: float = 0.15
    async_share: float = 0.1


def endless_payments(
    schema: Schema, mix: Mix, rng: np.random.Generator, *, start_at: datetime, run: str
) -> Iterator[Payment]:
    """Payments in the order of their simulated time, from `start_at` on, for ever.

    For a schema with the fields of a card payment, accounts and merchants live on from chunk to chunk; for any other
    schema the rows are random. `run` starts the ids, so that no two runs send the same transaction or account.
    """
    days = min(max(CHUNK_PAYMENTS / mix.per_day, 1.0), 28.0)
    has_payments = {field.name for field in schema.fields}.issuperset(RAW_FORM)
    population = _population(mix, rng) if has_payments else None
    number = 0
    while True:
        count = max(1, round(mix.per_day * days))
        frame = _chunk(schema, population, mix, rng, start_at=start_at, days=days, count=count, run=f"{run}-{number}")
        yield from _as_payments(frame, schema, mix, rng, start_at=start_at, days=days)
        start_at += timedelta(days=days)
        number += 1


def recent_payments(
    schema: Schema, mix: Mix, rng: np.random.Generator, *, days: float, run: str, now: Callable[[], datetime]
) -> Iterator[Payment]:
    """`endless_payments` of the last `days`; where their time has caught up with ours, they begin again, of other
    accounts: nothing is of tomorrow.
    """
    for lap in itertools.count():
        start_at = now() - timedelta(days=days)
        payments = endless_payments(schema, mix, rng, start_at=start_at, run=f"{run}-{lap}")
        yield from itertools.takewhile(lambda payment: payment.event_at < now(), payments)


def _population(mix: Mix, rng: np.random.Generator) -> Population:
    n_accounts = max(20, round(mix.per_day / PAYMENTS_PER_ACCOUNT_DAY))
    return draw_population(n_accounts, max(60, n_accounts // 4), rng)


def _chunk(
    schema: Schema,
    population: Population | None,
    mix: Mix,
    rng: np.random.Generator,
    *,
    start_at: datetime,
    days: float,
    count: int,
    run: str,
) -> pd.DataFrame:
    if population is None:
        frame = simulate_table(schema, count, rng, fraud_share=mix.fraud_share, days=days, start_at=start_at)
        name = schema.roles.transaction_id
        return frame if name is None else frame.assign(**{name: f"{run}-" + frame[name].astype(str)})
    frame = simulate_payments(
        schema,
        count,
        rng,
        start_at=start_at,
        days=days,
        fraud_share=mix.fraud_share,
        population=population,
        id_prefix=f"{run}-",
    )
    # Each run has accounts of its own: another run's would have other habits under the same name.
    return frame.assign(account_id=f"{run.rpartition('-')[0]}-" + frame["account_id"].astype(str))


def _as_payments(
    frame: pd.DataFrame,
    schema: Schema,
    mix: Mix,
    rng: np.random.Generator,
    *,
    start_at: datetime,
    days: float,
) -> Iterator[Payment]:
    bodies = _bodies(frame, schema)
    seed_bodies = _seed_bodies(frame) if set(RAW_FORM) <= set(frame.columns) else [None] * len(frame)
    is_fraud = frame[schema.roles.label or "is_fraud"].to_numpy() == 1
    wants_seed = rng.random(len(frame)) < mix.seed_form_share
    wants_async = rng.random(len(frame)) < mix.async_share
    moments = _event_times(frame, schema, start_at=start_at, days=days)
    for row, event_at in enumerate(moments):
        seed_body = seed_bodies[row] if wants_seed[row] else None
        yield Payment(
            body=bodies[row] if seed_body is None else seed_body,
            event_at=event_at,
            is_fraud=bool(is_fraud[row]),
            form="raw" if seed_body is None else "seed",
            prefers_async=bool(wants_async[row]),
        )


def _event_times(frame: pd.DataFrame, schema: Schema, *, start_at: datetime, days: float) -> list[datetime]:
    name = schema.roles.event_time
    if name in frame:
        return [moment.to_pydatetime() for moment in frame[name]]
    step = timedelta(days=days) / len(frame)
    return [start_at + step * row for row in range(len(frame))]


def _bodies(frame: pd.DataFrame, schema: Schema) -> list[dict[str, Any]]:
    """One JSON object per row with the fields that the schema declares; empty cells are null, or left out."""
    fields = {field.name: field for field in schema.fields if field.name in frame}
    columns = {name: [_sent(value, fields[name].type) for value in frame[name]] for name in fields}
    return [
        {
            name: values[row]
            for name, values in columns.items()
            if values[row] is not None or (fields[name].nullable and fields[name].required)
        }
        for row in range(len(frame))
    ]


def _sent(value: Any, kind: str) -> Any:
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    conversion = {"number": float, "integer": int, "boolean": bool}.get(kind, str)
    return conversion(value)


def _seed_bodies(frame: pd.DataFrame) -> list[dict[str, Any] | None]:
    """The six-field form of each payment that follows another of its account, else None."""
    by_account = frame.groupby("account_id", sort=False)
    previous = by_account["amount"].shift()
    hours = by_account["timestamp"].diff().dt.total_seconds() / 3600
    return list(map(_seed_body, frame["amount"], frame["timestamp"], frame["merchant_category"], previous, hours))


def _seed_body(amount: float, at: pd.Timestamp, category: str, previous: float, hours: float) -> dict[str, Any] | None:
    if pd.isna(previous):
        return None
    values = (float(amount), at.hour, at.day_of_week, str(category), float(previous), round(float(hours), 4))
    return dict(zip(SEED_FORM, values, strict=True))
