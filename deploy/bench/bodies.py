"""The request bodies of a load run: 1,000 different payments, or a file of one's own."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

BUILTIN = "builtin"
HISTORY = "history"
ACCOUNTS = 500
MERCHANTS = 100
CATEGORIES = (
    "grocery",
    "restaurant",
    "gas",
    "online",
    "travel",
    "entertainment",
    "electronics",
    "clothing",
    "pharmacy",
    "other",
)


def payment(rng: random.Random) -> dict[str, object]:
    """One payment with the six derived fields, so that scoring it looks nothing up."""
    return {
        "amount": round(rng.lognormvariate(3.7, 1.2), 2),
        "hour": rng.randrange(24),
        "day_of_week": rng.randrange(7),
        "merchant_category": rng.choice(CATEGORIES),
        "previous_amount": round(rng.lognormvariate(3.5, 1.1), 2),
        "time_since_last": round(rng.expovariate(1 / 14), 3),
    }


def payment_with_ids(rng: random.Random, now: datetime) -> dict[str, object]:
    """One payment that names its account and merchant, so that scoring it looks up and extends their history."""
    return {
        "amount": round(rng.lognormvariate(3.7, 1.2), 2),
        "merchant_category": rng.choice(CATEGORIES),
        "account_id": f"acc-{rng.randrange(ACCOUNTS)}",
        "merchant_id": f"mer-{rng.randrange(MERCHANTS)}",
        "timestamp": (now - timedelta(seconds=rng.randrange(60))).isoformat(),
    }


def builtin_bodies(count: int = 1000, seed: int = 7) -> list[bytes]:
    """`count` different JSON bodies, the same ones on every run of the same `seed`."""
    rng = random.Random(seed)  # noqa: S311 - bodies of a benchmark, no secret
    return [json.dumps(payment(rng)).encode() for _ in range(count)]


def history_bodies(now: datetime, count: int = 1000, seed: int = 7) -> list[bytes]:
    """`count` different JSON bodies with ids and times just before `now`, over 500 accounts and 100 merchants."""
    rng = random.Random(seed)  # noqa: S311 - bodies of a benchmark, no secret
    return [json.dumps(payment_with_ids(rng, now)).encode() for _ in range(count)]


def read_bodies(source: str) -> list[bytes]:
    """The bodies named by `source`: `builtin`, `history`, or a file with one JSON document a line.

    Raises:
        ValueError: the file holds no body.
    """
    if source == BUILTIN:
        return builtin_bodies()
    if source == HISTORY:
        return history_bodies(datetime.now(UTC))
    bodies = [line for line in Path(source).read_bytes().splitlines() if line.strip()]
    if not bodies:
        raise ValueError(f"{source} holds no request body; it needs one JSON document a line")
    return bodies
