"""What honest account holders do: at their hours, at their merchants, in their amounts, with exceptions."""

from __future__ import annotations

import numpy as np

from ml.simulator.population import CATEGORIES, FAVOURITES, Floats, Integers, Population, choose_merchants, number_of
from ml.simulator.stream import DAY_S, HONEST, Stream, Stretch, draw_rows, join, patterns

WEEKDAY_WEIGHTS = np.array([1.0, 0.95, 1.0, 1.05, 1.3, 1.4, 1.0])
"""Monday to Sunday."""
NO_HABIT = 0.08
"""Share of payments at any hour of the day."""
SPREES = 0.04
"""Share of payments that one to three more follow within the hour, as shopping trips do: bursts are not all fraud."""
BIG_PURCHASES = 0.012
MICRO_PAYMENTS = 0.08
"""Share of online payments that cost next to nothing: small amounts are not all card tests."""


def honest_payments(population: Population, stretch: Stretch, count: int, rng: np.random.Generator) -> Stream:
    """`count` payments in time order."""
    alone = _payments(population, stretch, rng.choice(population.n_accounts, count, p=population.activity), rng)
    everything = join(alone, _sprees(population, stretch, alone, rng))
    kept = np.sort(rng.choice(len(everything), count, replace=False))
    return everything.take(kept)


def typical_amounts(population: Population, accounts: Integers) -> Floats:
    """The median payment of each account in a category of amount 1."""
    return np.exp(population.log_amount[accounts])


def _payments(population: Population, stretch: Stretch, accounts: Integers, rng: np.random.Generator) -> Stream:
    at_s = _times(population, stretch, accounts, rng)
    category = draw_rows(population.taste[accounts] * _open_at(at_s), rng)
    return Stream(
        at_s=at_s,
        account=accounts.astype(np.int64),
        merchant=_merchants(population, accounts, category, rng),
        category=category,
        amount=_amounts(population, accounts, category, rng),
        pattern=patterns(HONEST, len(accounts)),
    )


def _times(population: Population, stretch: Stretch, accounts: Integers, rng: np.random.Generator) -> Floats:
    """A day by the weekday's weight, an hour by the account's habit or (rarely) any hour."""
    days = np.arange(int(np.ceil(stretch.days)))
    weekday = (np.floor(stretch.start_s / DAY_S) + days + 3).astype(int) % 7  # 1970-01-01 was a Thursday
    weights = WEEKDAY_WEIGHTS[weekday]
    day = rng.choice(days, len(accounts), p=weights / weights.sum())
    habit = rng.normal(population.peak_hour[accounts], population.hour_spread[accounts]) % 24
    hour = np.where(rng.random(len(accounts)) < NO_HABIT, rng.uniform(0, 24, len(accounts)), habit)
    midnight = np.floor(stretch.start_s / DAY_S) * DAY_S
    at_s = midnight + day * DAY_S + hour * 3600
    span = stretch.days * DAY_S
    return stretch.within(stretch.start_s + (at_s - stretch.start_s) % span)


def _open_at(at_s: Floats) -> Floats:
    """(n, c): how likely each category is at that hour of the day; never quite zero."""
    hour = (at_s % DAY_S) / 3600
    weights = [_bell(hour, *category.hours) for category in CATEGORIES]
    return np.column_stack(weights) + 0.02


def _bell(hour: Floats, peak: float, spread: float) -> Floats:
    away = np.abs(hour - peak)
    bell: Floats = np.exp(-0.5 * (np.minimum(away, 24 - away) / spread) ** 2)
    return bell


def _merchants(population: Population, accounts: Integers, category: Integers, rng: np.random.Generator) -> Integers:
    """Two payments in three go to one of the account's favourites, the others where everybody goes."""
    favourite = rng.choice(FAVOURITES, len(accounts), p=(0.6, 0.3, 0.1))
    usual = population.favourites[accounts, category, favourite]
    elsewhere = choose_merchants(population, category, rng)
    return np.where(rng.random(len(accounts)) < 2 / 3, usual, elsewhere)


def _amounts(population: Population, accounts: Integers, category: Integers, rng: np.random.Generator) -> Floats:
    factor = np.array([category.amount for category in CATEGORIES])[category]
    count = len(accounts)
    amount = typical_amounts(population, accounts) * factor * np.exp(rng.normal(0, population.spread[accounts]))
    amount *= np.where(rng.random(count) < BIG_PURCHASES, rng.uniform(3, 9, count), 1.0)
    is_micro = (category == number_of("online")) & (rng.random(count) < MICRO_PAYMENTS)
    return to_cents(np.where(is_micro, rng.uniform(0.5, 6.0, count), amount))


def _sprees(population: Population, stretch: Stretch, alone: Stream, rng: np.random.Generator) -> Stream:
    heads = np.flatnonzero(rng.random(len(alone)) < SPREES)
    followed = np.repeat(heads, rng.integers(1, 4, len(heads)))
    accounts, category = alone.account[followed], alone.category[followed]
    return Stream(
        at_s=stretch.within(alone.at_s[followed] + rng.uniform(60, 3600, len(followed))),
        account=accounts,
        merchant=_merchants(population, accounts, category, rng),
        category=category,
        amount=_amounts(population, accounts, category, rng),
        pattern=patterns(HONEST, len(followed)),
    )


def to_cents(amount: Floats) -> Floats:
    """Amounts as they are charged: two decimals, at least 0.01."""
    return np.maximum(np.round(amount, 2), 0.01)
