"""Parts of the event time, in UTC, compiled by numba. Online and offline call this code."""

from __future__ import annotations

import math
from typing import Final

from ml.features.compiled import Floats, Integers, compiled

HOUR: Final = 0
DAY_OF_WEEK: Final = 1
IS_WEEKEND: Final = 2
IS_NIGHT: Final = 3
DAY_OF_MONTH: Final = 4
MONTH: Final = 5


@compiled
def _month_and_day(days: int) -> tuple[int, int]:
    """Month (1-12) and day (1-31) of a day number since 1970-01-01 (proleptic Gregorian).

    Howard Hinnant, "chrono-compatible low-level date algorithms" (2013), civil_from_days.
    """
    day_of_era = (days + 719_468) % 146_097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    return shifted + 3 if shifted < 10 else shifted - 9, day_of_year - (153 * shifted + 2) // 5 + 1


@compiled
def calendar_part(part: int, t: float) -> float:
    """One part of the event time in UTC: hour 0-23, day of week 0-6 (Monday is 0), weekend and night (hour
    <= 6) 0/1, day of month 1-31, month 1-12. NaN where `t` is NaN or more than 30,000 years away.
    """
    if not (-1e12 < t < 1e12):
        return math.nan
    seconds = math.floor(t)
    days = seconds // 86_400
    hour = (seconds - days * 86_400) // 3600
    weekday = (days + 3) % 7
    month, day = _month_and_day(days)
    if part == HOUR:
        return float(hour)
    if part == DAY_OF_WEEK:
        return float(weekday)
    if part == IS_WEEKEND:
        return 1.0 if weekday >= 5 else 0.0
    if part == IS_NIGHT:
        return 1.0 if hour <= 6 else 0.0
    return float(day) if part == DAY_OF_MONTH else float(month)


@compiled
def calendar_features(times: Floats, parts: Integers, X: Floats) -> None:
    """Fill calendar fields that were not sent. `times`: (n,), `parts`: (c, 2) of part and column of `X` (n,
    p).
    """
    for row in range(times.shape[0]):
        for place in range(parts.shape[0]):
            target = parts[place, 1]
            if math.isnan(X[row, target]):
                X[row, target] = calendar_part(parts[place, 0], times[row])
