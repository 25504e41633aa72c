"""What fraudsters do, one function per pattern. Each adds payments; a compromised merchant turns honest ones bad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml.simulator.honest import to_cents, typical_amounts
from ml.simulator.population import Floats, Integers, Population, choose_merchants, number_of
from ml.simulator.stream import DAY_S, HONEST, Stream, Stretch, patterns

STOLEN_CARD: Final = "stolen_card"
CARD_TESTING: Final = "card_testing"
OUT_OF_PATTERN: Final = "out_of_pattern"
LOOKALIKE: Final = "lookalike"
COMPROMISED_MERCHANT: Final = "compromised_merchant"
GIFT_CARDS: Final = "gift_cards"
_MOST_PER_MERCHANT: Final = 25


def stolen_card(population: Population, stretch: Stretch, count: int, rng: np.random.Generator) -> Stream:
    """A card is emptied within the hour: three to eight payments of several times the usual amount, mostly
    online, six times in ten between midnight and six.
    """
    burst, place = _bursts(count, 3, 8, rng)
    accounts = _victims(population, burst, rng)
    start = _starts(stretch, burst, rng, night_share=0.6)
    amount = typical_amounts(population, accounts) * rng.lognormal(np.log(6), 0.9, count)
    return _stream(
        population,
        stretch,
        STOLEN_CARD,
        at_s=start + _elapsed(burst, place, rng, mean_s=480),
        accounts=accounts,
        category=_categories(("online", "electronics", "travel", "fashion"), (0.6, 0.2, 0.1, 0.1), count, rng),
        amount=np.maximum(amount, rng.uniform(20, 60, count)),
        rng=rng,
    )


def card_testing(population: Population, stretch: Stretch, count: int, rng: np.random.Generator) -> Stream:
    """Does this number work? Four to ten tiny online payments a minute apart, each at another merchant, at any
    hour; the last of every second series is for real.
    """
    burst, place = _bursts(count, 4, 10, rng)
    accounts = _victims(population, burst, rng)
    is_last = np.append(burst[1:] != burst[:-1], True)[:count]
    for_real = is_last & (burst % 2 == 0)
    real = typical_amounts(population, accounts) * rng.lognormal(np.log(6), 0.6, count)
    return _stream(
        population,
        stretch,
        CARD_TESTING,
        at_s=_starts(stretch, burst, rng, night_share=0.25) + _elapsed(burst, place, rng, mean_s=70),
        accounts=accounts,
        category=_categories(("online", "entertainment"), (0.85, 0.15), count, rng),
        amount=np.where(for_real, real, rng.uniform(0.5, 4.5, count)),
        rng=rng,
        merchants_evenly=True,
    )


def out_of_pattern(population: Population, stretch: Stretch, count: int, rng: np.random.Generator) -> Stream:
    """One payment that does not look like its account: four to twenty times the usual amount."""
    alone = np.arange(count)
    accounts = _victims(population, alone, rng)
    names = ("online", "electronics", "travel", "fashion", "services")
    return _stream(
        population,
        stretch,
        OUT_OF_PATTERN,
        at_s=_starts(stretch, alone, rng, night_share=0.3),
        accounts=accounts,
        category=_categories(names, (0.45, 0.25, 0.1, 0.1, 0.1), count, rng),
        amount=typical_amounts(population, accounts) * rng.uniform(4, 20, count),
        rng=rng,
    )


def gift_cards(population: Population, stretch: Stretch, count: int, rng: np.random.Generator) -> Stream:
    """The new pattern of a drifting simulation: round, middling amounts in daylight, at grocers and theatres."""
    burst, place = _bursts(count, 2, 4, rng)
    return _stream(
        population,
        stretch,
        GIFT_CARDS,
        at_s=_starts(stretch, burst, rng, night_share=0.0) + _elapsed(burst, place, rng, mean_s=2400),
        accounts=_victims(population, burst, rng),
        category=_categories(("grocery", "entertainment"), (0.7, 0.3), count, rng),
        amount=rng.choice([100.0, 150.0, 200.0, 250.0], count),
        rng=rng,
        merchants_evenly=True,
    )


def compromise_merchants(honest: Stream, stretch: Stretch, count: int, rng: np.random.Generator) -> Stream:
    """`count` of these payments turned into fraud: at some merchants, for two to four weeks, four payments in ten
    are made with copied cards. Nothing in the payment itself shows it; the merchant's late labels do.
    """
    pattern = honest.pattern.copy()
    missing = min(count, len(honest))
    for _ in range(missing):
        if missing == 0:
            break
        merchant = honest.merchant[rng.integers(len(honest))]
        hit = (honest.merchant == merchant) & _during_weeks(honest.at_s, stretch, rng) & (rng.random(len(honest)) < 0.4)
        rows = np.flatnonzero(hit & (pattern == HONEST))[: min(missing, _MOST_PER_MERCHANT)]
        pattern[rows] = COMPROMISED_MERCHANT
        missing -= len(rows)
    # Merchants with too few payments leave some over: those are hit once, anywhere.
    pattern[rng.choice(np.flatnonzero(pattern == HONEST), missing, replace=False)] = COMPROMISED_MERCHANT
    return replace(honest, pattern=pattern)


def _during_weeks(at_s: Floats, stretch: Stretch, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which payments fall into two to four weeks of the stretch."""
    lasts_s = min(rng.uniform(14, 28) * DAY_S, stretch.days * DAY_S)
    start_s = rng.uniform(stretch.start_s, stretch.end_s - lasts_s / 2)
    during: NDArray[np.bool_] = (at_s >= start_s) & (at_s < start_s + lasts_s)
    return during


def lookalikes(honest: Stream, count: int, rng: np.random.Generator) -> Stream:
    """`count` of these payments turned into fraud that nothing tells apart: a stolen phone, a family member."""
    candidates = np.flatnonzero(honest.pattern == HONEST)
    pattern = honest.pattern.copy()
    pattern[rng.choice(candidates, min(count, len(candidates)), replace=False)] = LOOKALIKE
    return replace(honest, pattern=pattern)


def _bursts(count: int, least: int, most: int, rng: np.random.Generator) -> tuple[Integers, Integers]:
    """`count` payments in bursts of `least` to `most`: the number of each one's burst, its place within it."""
    sizes = rng.integers(least, most + 1, max(1, -(-count // least)))
    burst = np.repeat(np.arange(len(sizes)), sizes)
    place = np.arange(len(burst)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return burst[:count], place[:count]


def _victims(population: Population, burst: Integers, rng: np.random.Generator) -> Integers:
    """One account per burst; who pays more often is hit more often."""
    n_bursts = int(burst.max(initial=-1)) + 1
    return rng.choice(population.n_accounts, n_bursts, p=population.activity)[burst].astype(np.int64)


def _starts(stretch: Stretch, burst: Integers, rng: np.random.Generator, *, night_share: float) -> Floats:
    """The time at which each payment's burst begins: at night (0 to 6) for a share of bursts, else 6 to 24."""
    n_bursts = int(burst.max(initial=-1)) + 1
    is_night = rng.random(n_bursts) < night_share
    hour = np.where(is_night, rng.uniform(0, 6, n_bursts), rng.uniform(6, 24, n_bursts))
    midnight = np.floor(rng.uniform(stretch.start_s, stretch.end_s, n_bursts) / DAY_S) * DAY_S
    starts: Floats = (midnight + hour * 3600)[burst]
    return starts


def _elapsed(burst: Integers, place: Integers, rng: np.random.Generator, *, mean_s: float) -> Floats:
    """Seconds since the burst began; the gaps are exponential."""
    gaps = np.where(place == 0, 0.0, rng.exponential(mean_s, len(burst)))
    total = np.cumsum(gaps)
    elapsed: Floats = total - total[np.arange(len(burst)) - place]
    return elapsed


def _categories(names: Sequence[str], shares: Sequence[float], count: int, rng: np.random.Generator) -> Integers:
    return rng.choice([number_of(name) for name in names], count, p=shares).astype(np.int64)


def _stream(
    population: Population,
    stretch: Stretch,
    name: str,
    *,
    at_s: Floats,
    accounts: Integers,
    category: Integers,
    amount: Floats,
    rng: np.random.Generator,
    merchants_evenly: bool = False,
) -> Stream:
    return Stream(
        at_s=stretch.within(at_s),
        account=accounts,
        merchant=choose_merchants(population, category, rng, evenly=merchants_evenly),
        category=category,
        amount=to_cents(amount),
        pattern=patterns(name, len(accounts)),
    )
