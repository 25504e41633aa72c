"""Bring your own transactions: real card payments trained, served and answered over HTTP as offline, to 1e-6."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from config.contracts import ChampionPointer
from ml.bundle import load_bundle
from ml.offline_scoring import offline_probabilities
from tests.e2e.running_stack import RunningStack

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEMA = REPOSITORY / "config" / "schemas" / "card.toml"
FIELDS = ["TRANSACTION_ID", "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT"]
TRAIN_FROM, TRAIN_TO = "2018-07-01", "2018-08-12"
N_SERVED = 400
TOLERANCE = 1e-6
LEAN = {"TOLLGATE_EXPORTER_ENABLED": "false", "TOLLGATE_MLFLOW_ENABLED": "false", "TOLLGATE_SCORING_WORKERS": "1"}


@pytest.fixture(scope="module")
def payments(data_dir_real: Path) -> pd.DataFrame:
    """Six weeks of real-shaped card payments of a fifth of the customers, in time order."""
    frame = pd.read_parquet(data_dir_real / "handbook.parquet", columns=[*FIELDS, "TX_FRAUD"])
    chosen = frame[(frame.TX_DATETIME >= TRAIN_FROM) & (frame.TX_DATETIME < TRAIN_TO) & (frame.CUSTOMER_ID % 5 == 0)]
    return chosen.sort_values("TX_DATETIME", kind="stable", ignore_index=True)


@pytest.fixture(scope="module")
def served(payments: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """`tollgate train --schema --data`, then `tollgate up --schema`: no code, nothing started before."""
    home = tmp_path_factory.mktemp("own")
    payments.to_csv(home / "payments.csv", index=False)
    stack = RunningStack(home / "data", LEAN | {"TOLLGATE_SCHEMA_FILE": str(SCHEMA)})
    trained = stack.tollgate("train", "--schema", str(SCHEMA), "--data", str(home / "payments.csv"))
    assert trained.returncode == 0, trained.stdout + trained.stderr
    stack.start()
    yield stack
    stack.stop()


def champion(stack: RunningStack) -> ChampionPointer:
    _, health = stack.get("/health")
    return ChampionPointer(**health["champion"])


def as_request(row: Any) -> dict[str, Any]:
    return {
        "TRANSACTION_ID": str(row.TRANSACTION_ID),
        "TX_DATETIME": row.TX_DATETIME.isoformat() + "Z",
        "CUSTOMER_ID": int(row.CUSTOMER_ID),
        "TERMINAL_ID": int(row.TERMINAL_ID),
        "TX_AMOUNT": float(row.TX_AMOUNT),
    }


def test_http_answers_are_the_offline_pipelines_probabilities(served: RunningStack, payments: pd.DataFrame) -> None:
    rows = payments[FIELDS].head(N_SERVED)
    online = []
    for row in rows.itertuples():
        status, decision = served.post("/predict", as_request(row), {"Prefer": "wait=20"})
        assert status == 200, decision
        online.append(decision["fraud_probability"])

    pointer = champion(served)
    bundle = load_bundle(served.data_dir / "models" / pointer.path, digest=pointer.digest)
    offline = offline_probabilities(bundle, rows)

    assert np.max(np.abs(np.array(online) - offline)) <= TOLERANCE
    assert len(set(online)) > N_SERVED / 4, "history makes the answers differ"


def test_the_api_document_follows_the_schema_file(served: RunningStack) -> None:
    _, document = served.get("/openapi.json")

    assert "TX_AMOUNT" in json.dumps(document)
    assert "merchant_category" not in json.dumps(document)


def test_the_seed_form_is_refused_by_name_under_another_schema(served: RunningStack) -> None:
    status, problem = served.post("/predict", {"amount": 1.0})

    assert status == 422
    assert {"/amount", "/TX_AMOUNT"} <= {error["pointer"] for error in problem["errors"]}


def test_the_report_of_the_training_is_in_the_bundle(served: RunningStack) -> None:
    bundle = served.data_dir / "models" / champion(served).path
    report = json.loads((bundle / "report.json").read_bytes())

    assert {"roc_auc", "average_precision"} <= set(report["test"])
    assert len(list(bundle.glob("*.png"))) >= 2
