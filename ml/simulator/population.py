"""Who pays whom: accounts with habits, merchants with popularity. Drawn once; many stretches of time may follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FAVOURITES: Final = 3


class Category(NamedTuple):
    """A kind of merchant.

    `share`: of all payments; `amount`: its payments over the account's usual; `hours`: the busiest hour, and
    how many hours around it (a standard deviation) it is open to most.
    """

    name: str
    share: float
    amount: float
    hours: tuple[float, float]


CATEGORIES: Final = (
    Category("grocery", 0.24, 1.0, (16, 4)),
    Category("restaurant", 0.15, 0.9, (18, 4)),
    Category("transport", 0.10, 0.35, (13, 5)),
    Category("fuel", 0.08, 1.6, (14, 5)),
    Category("online", 0.17, 1.2, (19, 7)),
    Category("entertainment", 0.06, 0.8, (20, 4)),
    Category("fashion", 0.05, 2.0, (15, 3)),
    Category("health", 0.05, 1.1, (12, 3)),
    Category("utilities", 0.04, 2.2, (10, 4)),
    Category("electronics", 0.03, 4.5, (16, 4)),
    Category("travel", 0.02, 7.0, (15, 6)),
    Category("services", 0.01, 1.8, (13, 4)),
)
NAMES: Final = tuple(category.name for category in CATEGORIES)


def number_of(name: str) -> int:
    """The number of a category."""
    return NAMES.index(name)


@dataclass(frozen=True, slots=True)
class Population:
    """Accounts and merchants; all arrays by account, or by merchant, or by category.

    `activity` (a,): share of all payments. `log_amount`, `spread` (a,): mean and standard deviation of the log
    amount of a payment in a category of amount 1. `peak_hour`, `hour_spread` (a,): hours of the day, UTC.
    `taste` (a, c): share of categories. `favourites` (a, c, 3): merchants. `merchant_category` (m,),
    `popularity` (m,): share of its category's payments.
    """

    activity: Floats
    log_amount: Floats
    spread: Floats
    peak_hour: Floats
    hour_spread: Floats
    taste: Floats
    favourites: Integers
    merchant_category: Integers
    popularity: Floats

    @property
    def n_accounts(self) -> int:
        return len(self.activity)

    @property
    def n_merchants(self) -> int:
        return len(self.merchant_category)

    def members(self, category: int) -> Integers:
        """The merchants of one category."""
        return np.flatnonzero(self.merchant_category == category)


def draw_population(n_accounts: int, n_merchants: int, rng: np.random.Generator) -> Population:
    """Draw accounts and merchants; every category has one merchant at least.

    Activity is gamma-distributed (shape 1.5: some pay ten times as often as others), usual amounts log-normal
    around 30, popularity a Zipf law within each category. One account in twelve is awake at night.
    """
    categories = len(CATEGORIES)
    category_of = _merchant_categories(max(n_merchants, categories), rng)
    popularity = _zipf_within(category_of, rng)
    activity = rng.gamma(1.5, size=n_accounts)
    is_owl = rng.random(n_accounts) < 1 / 12
    return Population(
        activity=activity / activity.sum(),
        log_amount=rng.normal(np.log(30.0), 0.5, n_accounts),
        spread=rng.uniform(0.35, 0.75, n_accounts),
        peak_hour=np.where(is_owl, rng.normal(23.5, 1.0, n_accounts), rng.normal(15.0, 2.5, n_accounts)),
        hour_spread=rng.uniform(2.0, 4.5, n_accounts),
        taste=rng.dirichlet([3 * categories * category.share for category in CATEGORIES], n_accounts),
        favourites=_favourites(n_accounts, category_of, popularity, rng),
        merchant_category=category_of,
        popularity=popularity,
    )


def choose_merchants(
    population: Population, categories: Integers, rng: np.random.Generator, *, evenly: bool = False
) -> Integers:
    """One merchant of each given category, by popularity or `evenly`."""
    chosen = np.empty(len(categories), np.int64)
    for category in np.unique(categories):
        members = population.members(int(category))
        wanted = categories == category
        weights = None if evenly else population.popularity[members]
        chosen[wanted] = rng.choice(members, size=int(wanted.sum()), p=weights)
    return chosen


def _merchant_categories(n_merchants: int, rng: np.random.Generator) -> Integers:
    shares = np.array([category.share for category in CATEGORIES])
    more = rng.choice(len(CATEGORIES), size=n_merchants - len(CATEGORIES), p=shares)
    return np.concatenate([np.arange(len(CATEGORIES)), more]).astype(np.int64)


def _zipf_within(category_of: Integers, rng: np.random.Generator) -> Floats:
    popularity = np.empty(len(category_of))
    for category in range(len(CATEGORIES)):
        members = rng.permutation(np.flatnonzero(category_of == category))
        weights = 1.0 / np.arange(1, len(members) + 1) ** 0.8
        popularity[members] = weights / weights.sum()
    return popularity


def _favourites(n_accounts: int, category_of: Integers, popularity: Floats, rng: np.random.Generator) -> Integers:
    chosen = np.empty((n_accounts, len(CATEGORIES), FAVOURITES), np.int64)
    for category in range(len(CATEGORIES)):
        members = np.flatnonzero(category_of == category)
        chosen[:, category] = rng.choice(members, size=(n_accounts, FAVOURITES), p=popularity[members])
    return chosen
