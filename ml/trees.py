"""A fitted HistGradientBoostingClassifier, compiled: the same sums without scikit-learn's cost per call.

`ml.bundle` builds one `CompiledTrees` per bundle; scoring workers call it on the hot path. The layout (ADR
0005): every number is replaced by its rank among the thresholds that the trees use, every categorical split
becomes a 0/1 column, one node is one 64-bit word, and leaves point at themselves, so that eight trees walk
in lockstep without a branch. Order of summation and treatment of NaN and unknown categories are scikit-
learn's: the result is the same bit for bit. Importing compiles nothing; `warm` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ml.compiled.kernels import Floats, PathTable, encode_and_sum, shap_values
from ml.compiled.layout import Forest, read_forest
from ml.compiled.shap import build_paths, quadrature

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier


class CompiledTrees:
    """A forest that scores (n, p) float64 arrays. Safe to call from several threads: it keeps no scratch
    space.

    `bias` is the expected raw score over the training rows: `contributions(X).sum(axis=1) + bias ==
    raw_scores(X)`.
    """

    def __init__(self, forest: Forest, paths: PathTable, bias: float) -> None:
        self.n_features = forest.n_features
        self.n_trees = forest.n_trees
        self.bias = bias
        self._forest = forest
        self._paths = paths
        self._points = quadrature()

    def raw_scores(self, X: Floats) -> Floats:
        """Log-odds before calibration. X: (n, p) float64, NaN for missing -> (n,) float64.

        Raises:
            ValueError: X has another number of columns than the model was fitted on.
        """
        forest = self._forest
        return encode_and_sum(
            self._checked(X),
            forest.encoding,
            forest.words,
            forest.value,
            forest.roots,
            forest.depths,
            forest.baseline,
        )

    def contributions(self, X: Floats) -> Floats:
        """Exact path-dependent Shapley values in log-odds, (n, p) -> (n, p); a row sums to raw - bias."""
        forest = self._forest
        return shap_values(
            self._checked(X),
            forest.encoding,
            forest.words,
            forest.left,
            forest.value,
            self._paths,
            self._points,
        )

    def _checked(self, X: Floats) -> Floats:
        if X.ndim != 2 or X.shape[1] != self.n_features:
            raise ValueError(f"X has shape {X.shape}, the model was fitted on (n, {self.n_features})")
        return np.ascontiguousarray(X, dtype=np.float64)

    def warm(self) -> None:
        """Compile (or load from numba's cache) every kernel; afterwards no call pays for compilation."""
        row = np.full((1, self.n_features), np.nan)
        self.raw_scores(row)
        self.contributions(row)


def compile_trees(model: HistGradientBoostingClassifier) -> CompiledTrees:
    """Compile a fitted binary classifier.

    Raises:
        ValueError: it is not binary, too large to address, or a path tests too many different features.
    """
    forest = read_forest(model)
    return CompiledTrees(forest, *build_paths(forest))
