"""From scikit-learn's tree nodes to flat arrays: which columns a row is encoded into, and one word per node.

Called by `ml.trees` when a bundle is loaded; nothing here runs per transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml.compiled.kernels import (
    ALWAYS_LEFT,
    FIELD_BITS,
    FIELD_MASK,
    LOCKSTEP,
    MISSING_RIGHT,
    Encoding,
    Floats,
    Integers,
)

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier


@dataclass(frozen=True, slots=True)
class Forest:
    """Every node of every tree, trees one after the other, the two children of a node side by side.

    `words`: what the kernel reads; `value`: leaf values; `roots`: first node per tree, padded to a multiple
    of `LOCKSTEP` with single leaves worth 0; `depths`: steps per group of `LOCKSTEP` trees. `left` is -1 at
    leaves, else the index of the left child (the right one follows); `feature`: the X column; `count`:
    training rows in the node.
    """

    encoding: Encoding
    words: Integers
    value: Floats
    roots: Integers
    depths: Integers
    left: Integers
    feature: Integers
    count: Floats
    baseline: float
    n_features: int
    n_trees: int


@dataclass(frozen=True, slots=True)
class _Nodes:
    """All nodes as parallel arrays, before columns are assigned."""

    left: Integers
    feature: Integers
    threshold: Floats
    missing_left: NDArray[np.bool_]
    category: Integers
    value: Floats
    count: Floats
    roots: list[int]
    depths: list[int]
    bitsets: NDArray[np.uint32]


def read_forest(model: HistGradientBoostingClassifier) -> Forest:
    """Flatten a fitted binary classifier.

    Raises:
        ValueError: the model is not a binary classifier, or has more nodes or columns than a word can
        address.
    """
    if model.n_trees_per_iteration_ != 1:
        raise ValueError(f"only binary classifiers can be compiled, this one has {len(model.classes_)} classes")
    categories = _category_values(model)
    nodes = _read_nodes(model)
    encoding, columns, ranks = _encode_nodes(nodes, categories)
    _check_limits(len(nodes.left), encoding)
    return Forest(
        encoding=encoding,
        words=_words(nodes.left, columns, ranks),
        value=nodes.value,
        roots=np.array(nodes.roots, dtype=np.int64),
        depths=np.array(nodes.depths, dtype=np.int64).reshape(-1, LOCKSTEP).max(axis=1),
        left=nodes.left,
        feature=nodes.feature,
        count=nodes.count,
        baseline=float(np.ravel(model._baseline_prediction)[0]),
        n_features=int(model.n_features_in_),
        n_trees=len(model._predictors),
    )


def _category_values(model: HistGradientBoostingClassifier) -> dict[int, Floats]:
    """The known values of each categorical X column, ascending: the position is the code that the trees
    test.
    """
    if model._preprocessor is None:
        return {}
    encoder = model._preprocessor.named_transformers_["encoder"]
    columns = np.flatnonzero(model.is_categorical_)
    known = [np.asarray(values, dtype=np.float64) for values in encoder.categories_]
    return {int(column): values[~np.isnan(values)] for column, values in zip(columns, known, strict=True)}


def _original_columns(model: HistGradientBoostingClassifier) -> Integers:
    """X column of each column that the trees see: scikit-learn moves categories to the front."""
    if model._preprocessor is None:
        return np.arange(model.n_features_in_, dtype=np.int64)
    is_categorical = np.asarray(model.is_categorical_, dtype=bool)
    return np.concatenate([np.flatnonzero(is_categorical), np.flatnonzero(~is_categorical)]).astype(np.int64)


def _read_nodes(model: HistGradientBoostingClassifier) -> _Nodes:
    originals = _original_columns(model)
    trees = [_breadth_first(iteration[0].nodes) for iteration in model._predictors]
    sizes = [len(tree) for tree in trees]
    padding = -len(trees) % LOCKSTEP
    roots = np.concatenate([[0], np.cumsum(sizes + [1] * padding)[:-1]]).astype(int).tolist()
    flat = np.concatenate([*trees, *[_single_leaf(trees[0].dtype)] * padding])
    offset = np.repeat(roots, sizes + [1] * padding)
    is_leaf = flat["is_leaf"].astype(bool)
    bitset_counts = [len(iteration[0].raw_left_cat_bitsets) for iteration in model._predictors]
    bitset_offset = np.repeat(np.cumsum([0, *bitset_counts[:-1]]), sizes)
    bitset_offset = np.concatenate([bitset_offset, np.zeros(padding, dtype=np.int64)])
    is_categorical = flat["is_categorical"].astype(bool) & ~is_leaf
    feature = originals[np.where(is_leaf, 0, flat["feature_idx"])]
    depths = [int(tree["depth"].max()) for tree in trees] + [0] * padding
    return _Nodes(
        left=np.where(is_leaf, -1, flat["left"].astype(np.int64) + offset),
        feature=feature,
        threshold=flat["num_threshold"].astype(np.float64),
        missing_left=flat["missing_go_to_left"].astype(bool),
        category=np.where(is_categorical, flat["bitset_idx"].astype(np.int64) + bitset_offset, -1),
        value=np.where(is_leaf, flat["value"], 0.0).astype(np.float64),
        count=flat["count"].astype(np.float64),
        roots=roots,
        depths=depths,
        bitsets=_stack_bitsets([iteration[0].raw_left_cat_bitsets for iteration in model._predictors]),
    )


def _stack_bitsets(bitsets: Sequence[Any]) -> NDArray[np.uint32]:
    return np.concatenate([np.asarray(b, dtype=np.uint32).reshape(-1, 8) for b in bitsets])


def _single_leaf(dtype: np.dtype[Any]) -> NDArray[Any]:
    leaf = np.zeros(1, dtype=dtype)
    leaf["is_leaf"] = 1
    leaf["count"] = 1
    return leaf


def _breadth_first(nodes: NDArray[Any]) -> NDArray[Any]:
    """The same nodes, reordered so that the two children of a node are neighbours; `left` points there."""
    order = [0]
    first_child = np.zeros(len(nodes), dtype=np.int64)
    for position, index in enumerate(order):
        if not nodes[index]["is_leaf"]:
            first_child[position] = len(order)
            order += [int(nodes[index]["left"]), int(nodes[index]["right"])]
    ordered = nodes[order].copy()
    ordered["left"] = first_child
    return ordered


def _encode_nodes(nodes: _Nodes, categories: dict[int, Floats]) -> tuple[Encoding, Integers, Integers]:
    """Assign a code column and a threshold rank to every split."""
    columns = np.zeros(len(nodes.left), dtype=np.int64)
    ranks = np.full(len(nodes.left), ALWAYS_LEFT, dtype=np.int64)
    builder = _EncodingBuilder()
    for feature in np.unique(nodes.feature[nodes.left >= 0]):
        splits = np.flatnonzero((nodes.feature == feature) & (nodes.left >= 0))
        if int(feature) in categories:
            columns[splits] = builder.add_category(int(feature), nodes, splits, categories[int(feature)])
            ranks[splits] = 0
        else:
            columns[splits], ranks[splits] = builder.add_number(int(feature), nodes, splits)
    return builder.build(), columns, ranks


class _EncodingBuilder:
    """Collects the arrays of an `Encoding`, one X column at a time."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, bool, int, int, int, int]] = []
        self.values: list[Floats] = []
        self.tables: list[NDArray[np.int32]] = []
        self.n_codes = 0

    def _new_columns(self, count: int) -> int:
        first = self.n_codes
        self.n_codes += count
        return first

    def add_number(self, feature: int, nodes: _Nodes, splits: Integers) -> tuple[Integers, Integers]:
        thresholds = np.unique(nodes.threshold[splits])
        missing_left = nodes.missing_left[splits]
        low = self._new_columns(1) if missing_left.any() else -1
        high = self._new_columns(1) if not missing_left.all() else -1
        self._append(feature, categorical=False, low=low, high=high, width=0, values=thresholds)
        # A value of rank r (r thresholds below it) has code r + 1; it is <= threshold i exactly when r <= i.
        return np.where(missing_left, low, high), np.searchsorted(thresholds, nodes.threshold[splits]) + 1

    def add_category(self, feature: int, nodes: _Nodes, splits: Integers, known: Floats) -> Integers:
        bits = nodes.bitsets[nodes.category[splits]]
        codes = np.arange(len(known), dtype=np.int64)
        goes_left = (bits[:, codes >> 5] >> (codes & 31).astype(np.uint32)) & np.uint32(1)
        going_right = np.column_stack([~nodes.missing_left[splits], goes_left == 0]).astype(np.int32)
        distinct, which = np.unique(going_right, axis=0, return_inverse=True)
        first = self._new_columns(len(distinct))
        self._append(feature, categorical=True, low=first, high=-1, width=len(distinct), values=known)
        self.tables[-1] = np.ascontiguousarray(distinct.T)
        return first + np.ravel(which).astype(np.int64)

    def _append(self, feature: int, *, categorical: bool, low: int, high: int, width: int, values: Floats) -> None:
        self.rows.append((feature, categorical, low, high, width, len(values)))
        self.values.append(values)
        self.tables.append(np.zeros((0, 0), dtype=np.int32))

    def build(self) -> Encoding:
        table = np.array(self.rows, dtype=np.int64).reshape(-1, 6)
        sizes = [t.size for t in self.tables]
        return Encoding(
            features=table[:, 0].copy(),
            categorical=table[:, 1].astype(np.bool_),
            starts=np.concatenate([[0], np.cumsum(table[:, 5])]).astype(np.int64),
            values=np.concatenate([np.zeros(0), *self.values]),
            low=table[:, 2].copy(),
            high=table[:, 3].copy(),
            width=table[:, 4].copy(),
            table_starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            tables=np.concatenate([np.zeros(0, dtype=np.int32), *[t.ravel() for t in self.tables]]),
            n_codes=max(self.n_codes, 1),
        )


def _words(left: Integers, columns: Integers, ranks: Integers) -> Integers:
    targets = np.where(left < 0, np.arange(len(left)), left)
    return (targets << (2 * FIELD_BITS)) | (columns << FIELD_BITS) | ranks


def _check_limits(n_nodes: int, encoding: Encoding) -> None:
    if n_nodes >= 1 << 23:
        raise ValueError(f"{n_nodes} nodes are more than a compiled forest can address ({1 << 23})")
    if encoding.n_codes > FIELD_MASK or len(encoding.values) >= MISSING_RIGHT - 1:
        raise ValueError(f"{encoding.n_codes} code columns or {len(encoding.values)} thresholds are too many")
