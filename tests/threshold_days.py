"""Days of scores whose best thresholds are known on paper: calibrated, every payment of the same amount."""

from __future__ import annotations

from ml.advisor.scores import DayScores, Sums, edge

BINS = range(-120, 80)


def calibrated_day(day: str, *, amount: float = 100.0, each: int = 1000, model_version: str = "m1") -> DayScores:
    """`each` payments in every bin from 0.002 to 0.98, of which exactly the share that their score says is fraud."""
    return DayScores(
        day=day,
        model_version=model_version,
        bins=list(BINS),
        sums=[_sums(each, (edge(place) + edge(place + 1)) / 2, amount) for place in BINS],
    )


def calibrated_days(n: int, **changes: object) -> list[DayScores]:
    """`n` days of March 2026, each a little busier than the one before."""
    return [calibrated_day(f"2026-03-{day:02}", each=1000 + 10 * day, **changes) for day in range(1, n + 1)]  # type: ignore[arg-type]


def _sums(each: int, share: float, amount: float) -> Sums:
    fraud = share * each
    return Sums(each, each - fraud, (each - fraud) * amount, fraud, fraud * amount)
