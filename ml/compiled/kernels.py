"""The loops that numba compiles: encode a row, walk the trees, sum the leaves; and, for reasons, Shapley
values.

Compiled on first call (`CompiledTrees.warm` makes that happen before traffic) and cached on disk. All
compiled functions and the constants they use live in this file because numba's cache only watches the file
a function is in.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Codes = NDArray[np.int32]


FIELD_BITS = 20
FIELD_MASK = (1 << FIELD_BITS) - 1
ALWAYS_LEFT = FIELD_MASK
"""Threshold of a leaf, which points at itself: no code is above it."""
MISSING_RIGHT = FIELD_MASK - 1
"""Code of a missing number in the column of splits that send missing values right."""
LOCKSTEP = 8
"""Trees that one row walks at the same time."""


class Encoding(NamedTuple):
    """How one row of X becomes integer codes. A tuple of arrays, because numba takes it as it is.

    `features`: the X columns that some tree reads. Per entry k of it: `categorical[k]`;
    `values[starts[k]:starts[k + 1]]` holds the ascending thresholds (numeric) or known category values;
    `low[k]` and `high[k]` are the code columns for splits that send missing values left and right (-1:
    none); for a category, `low[k]` is the first of its `width[k]` 0/1 code columns, whose rows (row 0:
    missing or unknown) start at `tables[table_starts[k]]`.
    """

    features: Integers
    categorical: NDArray[np.bool_]
    starts: Integers
    values: Floats
    low: Integers
    high: Integers
    width: Integers
    table_starts: Integers
    tables: NDArray[np.int32]
    n_codes: int


POINTS = 4
"""Quadrature points: exact for up to twice as many different features on one path (`ml.compiled.shap`)."""
MAX_PATH_FEATURES = 2 * POINTS


class PathTable(NamedTuple):
    """What the two passes need about every node, parents before children.

    Node n hangs on the edge from `parent[n]` (-1: a root), which is about the X column `feature[n]`.
    `share[n]` is z: the product of the training shares of this edge and of the edges above it on the same
    feature, the nearest of which leads to node `above[n]` (-1: none).
    """

    parent: Integers
    above: Integers
    feature: Integers
    share: Floats


@njit(cache=True, nogil=True)
def count_below(values: Floats, start: int, stop: int, x: float) -> int:
    """How many of the ascending `values[start:stop]` are < x, by a branch-free bisection."""
    base = start
    length = stop - start
    while length > 1:
        half = length >> 1
        base += half if values[base + half - 1] < x else 0
        length -= half
    if length == 1 and values[base] < x:
        base += 1
    return base - start


@njit(cache=True, nogil=True)
def encode_row(x: Floats, encoding: Encoding, codes: Codes) -> None:
    """Write the codes of one row. A missing or unknown category takes row 0 of its table."""
    for k in range(len(encoding.features)):
        value = x[encoding.features[k]]
        start = encoding.starts[k]
        stop = encoding.starts[k + 1]
        low = encoding.low[k]
        if encoding.categorical[k]:
            row = 0
            if not np.isnan(value):
                below = count_below(encoding.values, start, stop, value)
                if start + below < stop and encoding.values[start + below] == value:
                    row = below + 1
            width = encoding.width[k]
            source = encoding.table_starts[k] + row * width
            for j in range(width):
                codes[low + j] = encoding.tables[source + j]
            continue
        missing = np.isnan(value)
        rank = 0 if missing else count_below(encoding.values, start, stop, value) + 1
        if low >= 0:
            codes[low] = rank
        if encoding.high[k] >= 0:
            codes[encoding.high[k]] = MISSING_RIGHT if missing else rank


@njit(cache=True, nogil=True, inline="always")
def _step(words: Integers, codes: Codes, node: int) -> int:
    word = words[node]
    goes_right = codes[(word >> FIELD_BITS) & FIELD_MASK] > (word & FIELD_MASK)
    child: int = (word >> (2 * FIELD_BITS)) + (1 if goes_right else 0)
    return child


@njit(cache=True, nogil=True)
def encode_and_sum(
    X: Floats,
    encoding: Encoding,
    words: Integers,
    value: Floats,
    roots: Integers,
    depths: Integers,
    baseline: float,
) -> Floats:
    """Raw scores of X: (n, p) float64 C-contiguous -> (n,) float64, summed tree by tree as scikit-learn
    does.
    """
    out = np.empty(X.shape[0], dtype=np.float64)
    codes = np.zeros(encoding.n_codes, dtype=np.int32)
    for row in range(X.shape[0]):
        encode_row(X[row], encoding, codes)
        total = baseline
        for group in range(len(depths)):
            first = group * LOCKSTEP
            n0, n1, n2, n3 = roots[first], roots[first + 1], roots[first + 2], roots[first + 3]
            n4, n5, n6, n7 = roots[first + 4], roots[first + 5], roots[first + 6], roots[first + 7]
            for _ in range(depths[group]):
                n0 = _step(words, codes, n0)
                n1 = _step(words, codes, n1)
                n2 = _step(words, codes, n2)
                n3 = _step(words, codes, n3)
                n4 = _step(words, codes, n4)
                n5 = _step(words, codes, n5)
                n6 = _step(words, codes, n6)
                n7 = _step(words, codes, n7)
            total += value[n0]
            total += value[n1]
            total += value[n2]
            total += value[n3]
            total += value[n4]
            total += value[n5]
            total += value[n6]
            total += value[n7]
        out[row] = total
    return out


@njit(cache=True, nogil=True, inline="always")
def _goes_right(word: int, codes: NDArray[np.int32]) -> bool:
    right: bool = codes[(word >> FIELD_BITS) & FIELD_MASK] > (word & FIELD_MASK)
    return right


@njit(cache=True, nogil=True)
def _pass_down(
    words: Integers,
    codes: NDArray[np.int32],
    parent: Integers,
    above: Integers,
    share: Floats,
    t: Floats,
    slope: Floats,
    inverse: Floats,
    product: Floats,
) -> None:
    """Per node: `slope` = o - z, `inverse` = 1 / f at each quadrature point, `product` = factors down to
    here.
    """
    for node in range(len(parent)):
        up = parent[node]
        if up < 0:
            slope[node] = 0.0
            for q in range(POINTS):
                product[node, q] = 1.0
            continue
        word = words[up]
        is_right = node > (word >> (2 * FIELD_BITS))
        follows = 1.0 if _goes_right(word, codes) == is_right else 0.0
        z = share[node]
        nearest = above[node]
        if nearest < 0:
            s = follows - z
            for q in range(POINTS):
                f = z + t[q] * s
                inverse[node, q] = 1.0 / f
                product[node, q] = product[up, q] * f
        else:
            s = (follows if slope[nearest] > -share[nearest] else 0.0) - z
            for q in range(POINTS):
                f = z + t[q] * s
                inverse[node, q] = 1.0 / f
                product[node, q] = product[up, q] * f * inverse[nearest, q]
        slope[node] = s


@njit(cache=True, nogil=True)
def _pass_up(
    left: Integers,
    value: Floats,
    parent: Integers,
    above: Integers,
    feature: Integers,
    w: Floats,
    slope: Floats,
    inverse: Floats,
    product: Floats,
    phi: Floats,
) -> None:
    """Turn `product` into the sums over the leaves below, bottom up, and add each edge's share to `phi`."""
    for node in range(len(parent) - 1, -1, -1):
        child = left[node]
        if child < 0:
            for q in range(POINTS):
                product[node, q] *= value[node] * w[q]
        else:
            for q in range(POINTS):
                product[node, q] = product[child, q] + product[child + 1, q]
        if parent[node] < 0:
            continue
        total = 0.0
        for q in range(POINTS):
            total += product[node, q] * inverse[node, q]
        total *= slope[node]
        nearest = above[node]
        if nearest >= 0:
            again = 0.0
            for q in range(POINTS):
                again += product[node, q] * inverse[nearest, q]
            total -= slope[nearest] * again
        phi[feature[node]] += total


@njit(cache=True, nogil=True)
def shap_values(
    X: Floats,
    encoding: Encoding,
    words: Integers,
    left: Integers,
    value: Floats,
    paths: PathTable,
    points: Floats,
) -> Floats:
    """Contributions of X: (n, p) float64 C-contiguous -> (n, p) float64, in log-odds."""
    out = np.zeros(X.shape, dtype=np.float64)
    codes = np.zeros(encoding.n_codes, dtype=np.int32)
    slope = np.zeros(len(words), dtype=np.float64)
    inverse = np.ones((len(words), POINTS), dtype=np.float64)
    product = np.ones((len(words), POINTS), dtype=np.float64)
    parent, above, feature, share = paths.parent, paths.above, paths.feature, paths.share
    for row in range(X.shape[0]):
        encode_row(X[row], encoding, codes)
        _pass_down(words, codes, parent, above, share, points[0], slope, inverse, product)
        _pass_up(left, value, parent, above, feature, points[1], slope, inverse, product, out[row])
    return out
