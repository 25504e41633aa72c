"""The model bundle: everything that scoring needs, saved as one checked directory.

Training saves bundles; scoring workers load them aside and swap. A bundle that is not exactly what was
published, or whose compiled model does not give scikit-learn's probabilities on the golden rows, is refused.
"""

from __future__ import annotations

import io
import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
from sklearn.exceptions import InconsistentVersionWarning

from config.errors import BundleRefused, SchemaInvalid
from config.schema.load import parse_schema
from config.schema.model import Schema
from ml.bundle_files import read_files, read_manifest, write_files
from ml.calibration import Sigmoid
from ml.decisions import Thresholds, explain
from ml.extra_columns import ExtraColumns
from ml.features.compiled import Floats
from ml.features.online import Featurizer
from ml.features.spec import FeatureSpec
from ml.linear_term import LinearTerm
from ml.model_columns import ModelColumn, describe_columns
from ml.trees import CompiledTrees, compile_trees

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

PICKLE = "bundle.joblib"
GOLDEN = "golden.json"
TOLERANCE = 1e-9
"""Largest difference in probability between compiled trees, scikit-learn and what was stored."""


@dataclass(frozen=True, slots=True)
class BundleContents:
    """What training hands over. `pipeline`: fitted, `ExtraColumns` then `HistGradientBoostingClassifier`; None
    when the linear model serves alone.

    `typical`: (p,) training medians, for reasons. `metadata`: JSON values about how the model came to be.
    `linear`: added to the trees' log-odds, times `linear_share`; None where it ranks no better.
    """

    schema_text: str
    history_events: int
    vocabularies: dict[str, dict[str, int]]
    pipeline: Pipeline | None
    calibrator: Sigmoid
    thresholds: Thresholds
    typical: Floats
    metadata: dict[str, Any] = field(default_factory=dict)
    linear: LinearTerm | None = None
    linear_share: float = 0.0


class Bundle:
    """A model in memory. Safe to share by threads.

    `contents`: what it was made of. `columns` describes the columns of X; `spec` and `featurizer` make them;
    `thresholds` go with the probabilities.
    """

    def __init__(self, contents: BundleContents, *, model_version: str, digest: str) -> None:
        """Raises SchemaInvalid or ValueError when the parts do not fit together."""
        self.model_version = model_version
        self.digest = digest
        self.schema: Schema = parse_schema(contents.schema_text, f"schema of {model_version}")
        self.spec = FeatureSpec.from_schema(self.schema, contents.history_events)
        self.featurizer = Featurizer(self.spec, contents.vocabularies)
        self.thresholds = contents.thresholds
        self.metadata = contents.metadata
        self.contents = contents
        self.columns: tuple[ModelColumn, ...] = describe_columns(
            self.spec, self.featurizer.vocabularies, contents.typical
        )
        if contents.pipeline is None and contents.linear is None:
            raise ValueError("a model needs trees, a linear part, or both")
        self._calibrator = contents.calibrator
        self._pipeline = contents.pipeline
        self._linear = contents.linear
        self._linear_share = contents.linear_share
        self._trees = None if contents.pipeline is None else _CompiledPipeline(contents.pipeline)

    def score(self, X: Floats) -> Floats:
        """Calibrated fraud probabilities by the compiled model. X: (n, p) float64 -> (n,) float64 in (0,
        1).
        """
        raw = self.tree_scores(X)
        if self._linear is not None:
            raw += self._linear_share * self._linear.scores(X)
        return self._calibrator(raw)

    def tree_scores(self, X: Floats) -> Floats:
        """(n, p) -> (n,) what the trees alone say, before calibration; zeros without trees."""
        return np.zeros(len(X)) if self._trees is None else self._trees.raw_scores(X)

    def reference(self, X: Floats) -> Floats:
        """The same by scikit-learn, slower: what `score` is checked against."""
        raw = np.zeros(len(X)) if self._pipeline is None else self._pipeline.decision_function(X)
        if self._linear is not None:
            raw = raw + self._linear_share * self._linear.reference(X)
        return self._calibrator(raw)

    def contributions(self, X: Floats) -> Floats:
        """Exact Shapley values in calibrated log-odds. X: (n, p) float64 -> (n, p); extra columns are in
        their sources.
        """
        raw = np.zeros(X.shape) if self._trees is None else self._trees.contributions(X)
        if self._linear is not None:
            raw += self._linear_share * self._linear.contributions(X)
        return self._calibrator.slope * raw

    def warm(self) -> None:
        """Run every step once, so that the first transaction does not pay for compilation."""
        unsent = [None] * len(self.schema.fields)
        logs = [(b"", b"")] * len(self.spec.entities)
        X = self.featurizer.assemble([unsent], [logs], [0.0]).X
        self.score(X)
        explain(self, X[0], self.contributions(X)[0], 1)


class _CompiledPipeline:
    """`ExtraColumns`, then compiled trees: X as the featurizer makes it in, log-odds or their parts out."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._extra: ExtraColumns = pipeline[0]
        self._trees: CompiledTrees = compile_trees(pipeline[-1])

    def raw_scores(self, X: Floats) -> Floats:
        return self._trees.raw_scores(self._extra.transform(X))

    def contributions(self, X: Floats) -> Floats:
        return self._extra.fold(self._trees.contributions(self._extra.transform(X)), X.shape[1])


def save_bundle(
    directory: Path,
    contents: BundleContents,
    *,
    golden_rows: Floats,
    attachments: Mapping[str, bytes] | None = None,
    held_back: bool = False,
) -> str:
    """Write a bundle to `directory` (its name is the model version) and return its digest.

    `golden_rows`: (n, p) float64, rows of X whose probabilities every loader recomputes. `attachments`:
    further files (report, plots). `held_back`: it becomes the champion by a person's word only. The directory appears
    complete or not at all.

    Raises:
        BundleRefused: the compiled model differs from scikit-learn; nothing is written.
        FileExistsError: the directory exists.
    """
    bundle = Bundle(contents, model_version=directory.name, digest="")
    expected = bundle.reference(golden_rows)
    _check_golden(bundle, golden_rows, expected, directory.name)
    pickled = io.BytesIO()
    joblib.dump(contents, pickled, compress=3)
    golden = {"rows": _as_json(golden_rows), "probabilities": expected.tolist(), "tolerance": TOLERANCE}
    files = {PICKLE: pickled.getvalue(), GOLDEN: json.dumps(golden).encode(), **(attachments or {})}
    about = {
        "model_version": directory.name,
        "schema": bundle.schema.name,
        "schema_digest": bundle.schema.digest,
        **({"held_back": "yes"} if held_back else {}),
    }
    return write_files(directory, files, about)


def load_bundle(directory: Path, *, digest: str | None = None, schema_digest: str | None = None) -> Bundle:
    """Load, verify and compile a bundle. Only files whose digest was checked are unpickled.

    `digest`: the bundle must be this one. `schema_digest`: it must have been trained for this schema.

    Raises:
        BundleRefused: a file is missing or changed, the schema is another one, or the golden rows do not
        come out.
    """
    manifest, found = read_manifest(directory, digest)
    if schema_digest is not None and manifest.get("schema_digest") != schema_digest:
        raise BundleRefused(
            f"{directory.name} was trained for schema {manifest.get('schema_digest')}, this process has {schema_digest}"
        )
    files = read_files(directory, manifest, (PICKLE, GOLDEN))
    try:
        bundle = Bundle(_unpickle(files[PICKLE]), model_version=str(manifest["model_version"]), digest=found)
    except (ValueError, TypeError, KeyError, AttributeError, ImportError, EOFError, SchemaInvalid) as error:
        raise BundleRefused(f"{directory.name} cannot be read by this version: {error}") from error
    if bundle.schema.digest != manifest.get("schema_digest"):
        raise BundleRefused(f"{directory.name}: its schema means something else in this version; train again")
    golden = json.loads(files[GOLDEN])
    _check_golden(bundle, _from_json(golden["rows"]), np.array(golden["probabilities"]), directory.name)
    return bundle


def _unpickle(content: bytes) -> BundleContents:
    with warnings.catch_warnings():
        # Another scikit-learn than the one that trained: the golden rows decide whether that matters.
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        contents = joblib.load(io.BytesIO(content))
    if not isinstance(contents, BundleContents):
        raise TypeError(f"{PICKLE} holds a {type(contents).__name__}")
    return contents


def _check_golden(bundle: Bundle, rows: Floats, expected: Floats, name: str) -> None:
    """Compiled, scikit-learn and stored probabilities agree on every golden row. Raises BundleRefused."""
    if rows.ndim != 2 or rows.shape != (len(expected), len(bundle.columns)) or not len(expected):
        raise BundleRefused(f"{name}: golden rows of shape {rows.shape} for {len(bundle.columns)} columns")
    reference = bundle.reference(rows)
    for way, scores in (("scikit-learn", reference), ("the compiled trees", bundle.score(rows))):
        worst = float(np.max(np.abs(scores - expected)))
        if not worst <= TOLERANCE:
            raise BundleRefused(f"{name}: {way} differ by {worst:.3g} on the golden rows (allowed: {TOLERANCE:g})")


def _as_json(rows: Floats) -> list[list[float | None]]:
    return [[None if math.isnan(value) else value for value in row] for row in rows.tolist()]


def _from_json(rows: list[list[float | None]]) -> Floats:
    return np.array([[math.nan if value is None else value for value in row] for row in rows], dtype=np.float64)
