"""Exact path-dependent TreeSHAP (Lundberg et al. 2018, arXiv:1802.03888) in two passes over the nodes.

For one leaf of value v whose path tests the distinct features 1..k, let z_i be the product of the shares of
training rows that follow the path at the splits on feature i, and o_i = 1 when the row itself follows all
of them, else 0. The leaf's game is v * prod(o_i for i in S) * prod(z_i for i not in S), and by Owen (1972,
Multilinear extensions of games) the Shapley value of feature j is the integral over t in 0..1 of v * (o_j -
z_j) * prod_{i != j} f_i(t) with f_i(t) = z_i + t (o_i - z_i): a polynomial of degree k - 1, which Gauss-
Legendre quadrature with `POINTS` nodes integrates exactly up to k = 2 * `POINTS`.

Leaves below one edge share its factor, so (as in Linear TreeSHAP, Yu et al. 2022, arXiv:2209.08192) one
pass down multiplies the factors, one pass up sums v * product over the leaves below, and each edge divides
its own factor out. The passes are in `ml.compiled.kernels`; here is what they need to know of a forest.
"""

from __future__ import annotations

import numpy as np

from ml.compiled.kernels import MAX_PATH_FEATURES, POINTS, Floats, PathTable
from ml.compiled.layout import Forest


def build_paths(forest: Forest) -> tuple[PathTable, float]:
    """The path table of a forest, and the expected raw score: what contributions are measured from.

    Raises:
        ValueError: a path tests more than `MAX_PATH_FEATURES` different features.
    """
    n_nodes = len(forest.left)
    parent = np.full(n_nodes, -1, dtype=np.int64)
    splits = np.flatnonzero(forest.left >= 0)
    parent[forest.left[splits]] = splits
    parent[forest.left[splits] + 1] = splits
    table = PathTable(
        parent=parent,
        above=np.full(n_nodes, -1, dtype=np.int64),
        feature=np.where(parent >= 0, forest.feature[parent], 0),
        share=np.where(parent >= 0, forest.count / forest.count[parent], 1.0),
    )
    reach = _merge_repeated_features(table)
    leaves = forest.left < 0
    return table, forest.baseline + float(np.sum(forest.value[leaves] * reach[leaves]))


def _merge_repeated_features(table: PathTable) -> Floats:
    """Fill `above`, multiply `share` along it, and return the share of training rows that reach each node."""
    nearest: list[dict[int, int]] = [{} for _ in table.parent]
    reach = np.ones(len(table.parent))
    for node, parent in enumerate(table.parent.tolist()):
        if parent < 0:
            continue
        feature = int(table.feature[node])
        reach[node] = reach[parent] * table.share[node]
        above = nearest[parent].get(feature, -1)
        nearest[node] = {**nearest[parent], feature: node}
        if len(nearest[node]) > MAX_PATH_FEATURES:
            raise ValueError(f"a path tests {len(nearest[node])} features, contributions allow {MAX_PATH_FEATURES}")
        if above >= 0:
            table.above[node] = above
            table.share[node] *= table.share[above]
    return reach


def quadrature() -> Floats:
    """The Gauss-Legendre nodes and weights on 0..1: (2, POINTS) float64."""
    nodes, weights = np.polynomial.legendre.leggauss(POINTS)
    return np.stack([(nodes + 1) / 2, weights / 2])
