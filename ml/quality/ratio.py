"""A share that can be added up over days and still knows how sure it is. Plain Python.

A figure of quality is a ratio of two sums over decisions: frauds caught over frauds, money saved over money at stake.
Decisions of one account on one day stand or fall together, so the sums of squares are taken over such clusters, and
the variance is that of a ratio estimator, linearised (Cochran 1977, section 6.8). It becomes the size of a simple
random sample that would be as sure, and that goes into Wilson's score interval (Wilson 1927). Without clusters and
weights this is Wilson's interval itself.
"""

from __future__ import annotations

import math

import msgspec

Z_95 = 1.959963984540054


class Figure(msgspec.Struct, frozen=True):
    """A figure with the bounds of its 95% interval."""

    value: float
    low: float
    high: float


class Ratio(msgspec.Struct, frozen=True, array_like=True):
    """`part / whole`, both sums over clusters: with the sums of `part^2`, `part x whole`, `whole^2`; `n` decisions.

    Decisions that add to neither sum are not counted.
    """

    part: float = 0.0
    whole: float = 0.0
    part_2: float = 0.0
    cross: float = 0.0
    whole_2: float = 0.0
    n: int = 0

    def __add__(self, other: Ratio) -> Ratio:
        """The ratio over the decisions of both."""
        return Ratio(
            self.part + other.part,
            self.whole + other.whole,
            self.part_2 + other.part_2,
            self.cross + other.cross,
            self.whole_2 + other.whole_2,
            self.n + other.n,
        )

    @property
    def variance(self) -> float:
        """The linearised variance of `part / whole`. Needs a whole that is not 0."""
        value = self.part / self.whole
        squares = self.part_2 - 2 * value * self.cross + value**2 * self.whole_2
        return max(squares, 0.0) / self.whole**2


def counted(part: int, whole: int) -> Ratio:
    """The ratio of plain counts: every decision a cluster of its own.

    >>> counted(3, 4)
    Ratio(part=3.0, whole=4.0, part_2=3.0, cross=3.0, whole_2=4.0, n=4)
    """
    return Ratio(float(part), float(whole), float(part), float(part), float(whole), whole)


def share(ratio: Ratio) -> Figure | None:
    """A share of 0 to 1 with its 95% interval; None when there is nothing to divide by.

    >>> [round(bound, 3) for bound in msgspec.structs.astuple(share(counted(3, 4)))]
    [0.75, 0.301, 0.954]
    """
    if ratio.whole <= 0:
        return None
    value = min(max(ratio.part / ratio.whole, 0.0), 1.0)
    low, high = wilson(value, effective_size(ratio))
    # Of 0 in 7 the lower bound comes out as 3e-17.
    return Figure(value, min(low, value), max(high, value))


def mean(ratio: Ratio) -> Figure | None:
    """A mean of any size with its 95% interval by the normal distribution; None when there is nothing to divide by."""
    if ratio.whole <= 0:
        return None
    value, half = ratio.part / ratio.whole, Z_95 * math.sqrt(ratio.variance)
    return Figure(value, value - half, value + half)


def effective_size(ratio: Ratio) -> float:
    """How many independent decisions of equal weight would be as sure: at least 1, at most their number.

    Where all clusters agree the variance says nothing, and Kish's size for unequal weights is taken.
    """
    value = min(max(ratio.part / ratio.whole, 0.0), 1.0)
    spread = value * (1 - value)
    variance = ratio.variance
    kish = ratio.whole**2 / ratio.whole_2 if ratio.whole_2 > 0 else 1.0
    size = spread / variance if variance > 1e-15 and spread > 0 else kish
    return max(1.0, min(size, float(ratio.n)))


def wilson(value: float, size: float) -> tuple[float, float]:
    """Wilson's 95% score interval of a share seen in `size` independent trials.

    >>> [round(bound, 3) for bound in wilson(0.0, 10.0)]
    [0.0, 0.278]
    """
    squared = Z_95**2
    centre = (value + squared / (2 * size)) / (1 + squared / size)
    half = Z_95 / (1 + squared / size) * math.sqrt(value * (1 - value) / size + squared / (4 * size**2))
    return max(0.0, centre - half), min(1.0, centre + half)
