"""`python -m deploy.bench.train DIR`: the models of a benchmark, both trained on the same made-up payments.

`DIR/model.joblib` is what the baselines load: a scikit-learn pipeline of one-hot category and boosted trees.
`DIR/template/models/` gets a bundle for Tollgate: the default schema's columns and boosted trees of the same size.
A process of its own, so that the benchmark itself holds no scikit-learn in memory. Prints the bundle's digest.
"""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from config.schema.load import parse_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from deploy.bench.bodies import CATEGORIES
from deploy.bench.model import MODEL_VERSION
from deploy.bench.site import MODEL_FILE, TEMPLATE_DIR
from ml.bundle import BundleContents, save_bundle
from ml.calibration import Sigmoid
from ml.decisions import Thresholds
from ml.extra_columns import ExtraColumns
from ml.features.frame import assemble_frame, fit_vocabularies, mask_history
from ml.features.spec import FeatureSpec

ROWS = 30_000
SEED = 7
GOLDEN_ROWS = 64
LABEL_DELAY_S = 7 * 86_400
MASKED_SHARE = 0.5  # the bodies of the benchmark name no account
TREES, DEPTH, LEAVES = 200, 6, 31
COLUMNS = ["amount", "hour", "day_of_week", "merchant_category", "previous_amount", "time_since_last"]


def made_up_payments(rows: int, rng: np.random.Generator) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """`rows` payments, the six derived fields distributed as in the benchmark's bodies, and which are fraud."""
    frame = pd.DataFrame(
        {
            "amount": rng.lognormal(3.7, 1.2, rows).round(2),
            "hour": rng.integers(0, 24, rows),
            "day_of_week": rng.integers(0, 7, rows),
            "merchant_category": rng.choice(CATEGORIES, rows),
            "previous_amount": rng.lognormal(3.5, 1.1, rows).round(2),
            "time_since_last": rng.exponential(14, rows).round(3),
            "account_id": rng.integers(0, rows // 10, rows).astype(str),
            "merchant_id": rng.integers(0, rows // 100, rows).astype(str),
            "timestamp": pd.date_range("2026-01-01", "2026-03-01", rows, tz="UTC"),
        }
    )
    log_odds = (
        -6.5
        + 1.1 * np.log(frame["amount"] / (frame["previous_amount"] + 1) + 1e-3).clip(0)
        + 1.5 * (frame["hour"] < 6)
        + 1.2 * frame["merchant_category"].isin(["online", "electronics", "travel"])
        + 1.5 * (frame["time_since_last"] < 1)
    )
    return frame, rng.random(rows) < 1 / (1 + np.exp(-log_odds.to_numpy()))


def boosted_trees() -> HistGradientBoostingClassifier:
    """Exactly `TREES` trees of at most `DEPTH` levels and `LEAVES` leaves."""
    return HistGradientBoostingClassifier(
        max_iter=TREES,
        max_depth=DEPTH,
        max_leaf_nodes=LEAVES,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=SEED,
    )


def fit_pipeline(frame: pd.DataFrame, is_fraud: NDArray[np.bool_]) -> Pipeline:
    """What the baselines serve: it takes a DataFrame."""
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    encode = ColumnTransformer([("category", one_hot, ["merchant_category"])], remainder="passthrough")
    return Pipeline([("encode", encode), ("trees", boosted_trees())]).fit(frame[COLUMNS], is_fraud)


def fit_bundle(directory: Path, frame: pd.DataFrame, is_fraud: NDArray[np.bool_]) -> str:
    """Write the bundle that Tollgate serves; returns its digest."""
    schema_text = DEFAULT_SCHEMA.read_text()
    history_events = Settings().history_events
    spec = FeatureSpec.from_schema(parse_schema(schema_text, DEFAULT_SCHEMA.name), history_events)
    vocabularies = fit_vocabularies(frame, spec)
    y = is_fraud.astype(np.float64)
    X = assemble_frame(frame, spec, vocabularies, is_fraud=y, label_delay_s=LABEL_DELAY_S)
    mask_history(X, spec, MASKED_SHARE, np.random.default_rng(SEED))
    contents = BundleContents(
        schema_text=schema_text,
        history_events=history_events,
        vocabularies=vocabularies,
        pipeline=Pipeline([("extra", ExtraColumns()), ("trees", boosted_trees())]).fit(X, is_fraud),
        calibrator=Sigmoid(),
        thresholds=Thresholds(review=0.3, decline=0.7),
        typical=np.array([_median(column) for column in X.T]),
        metadata={"purpose": "benchmark"},
    )
    return save_bundle(directory, contents, golden_rows=X[:GOLDEN_ROWS])


def _median(column: NDArray[np.float64]) -> float:
    known = column[~np.isnan(column)]
    return float(np.median(known)) if len(known) else float("nan")


def main() -> None:
    """Train both and write them below the directory named on the command line."""
    directory = Path(sys.argv[1])
    frame, is_fraud = made_up_payments(ROWS, np.random.default_rng(SEED))
    joblib.dump(fit_pipeline(frame, is_fraud), directory / MODEL_FILE)
    digest = fit_bundle(directory / TEMPLATE_DIR / "models" / MODEL_VERSION, frame, is_fraud)
    sys.stdout.write(digest)


if __name__ == "__main__":
    main()
