"""The payments that a scenario sends: each with an id and an account of its own scenario, the same bytes every time."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from deploy.bench.bodies import CATEGORIES

ACCOUNTS = 40
FIRST_AT = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Payment:
    """One transaction as it is sent. `is_async`: with `Prefer: respond-async`."""

    transaction_id: str
    account: str
    body: bytes
    is_async: bool = False


def payment(prefix: str, number: int, *, is_async: bool = False) -> Payment:
    """Payment `number` of the scenario whose ids begin with `prefix`."""
    rng = random.Random(number)
    transaction_id, account = f"{prefix}-{number}", f"{prefix}-account-{number % ACCOUNTS}"
    content = {
        "transaction_id": transaction_id,
        "amount": round(rng.lognormvariate(3.7, 1.2), 2),
        "merchant_category": rng.choice(CATEGORIES),
        "account_id": account,
        "merchant_id": f"{prefix}-merchant-{number % 7}",
        "timestamp": (FIRST_AT + timedelta(seconds=number)).isoformat(),
    }
    return Payment(transaction_id, account, json.dumps(content).encode(), is_async)


def payments(prefix: str, *, count: int | None = None, async_every: int = 3) -> Iterator[Payment]:
    """Payments 0, 1, 2, ...: every `async_every`-th asynchronous, 0 for none. Safe to draw from several threads."""
    numbers = range(count) if count is not None else itertools.count()
    return map(lambda n: payment(prefix, n, is_async=bool(async_every) and n % async_every == 0), numbers)  # noqa: C417  a generator runs in one thread
