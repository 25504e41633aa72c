"""The published protocol's first fold through the HTTP API: weeks of history, labels at their delay, the test days.

Every transaction of the stream is scored by a running stack; what it answers is compared with what the same bundle
gives offline on the same stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from config.schema.load import parse_schema
from deploy.quality.stack import model_dir, serving
from deploy.quality.stream import Stream, rfc3339
from ml.bundle import Bundle, load_bundle
from ml.features.compiled import Floats, Integers
from ml.features.spec import FeatureSpec
from ml.measured.figures import Figures, figures
from ml.measured.fitting import choose, refit
from ml.measured.handbook import DAY_S, DELAY_DAYS, FIRST_DAY, Fold, make_fold
from ml.measured.published import HISTORY_EVENTS, on_days, publish_fold
from ml.registry import StoredBundle, promote
from ml.training.candidates import CANDIDATES
from ml.training.data import read_data
from ml.training.dataset import Dataset, make_dataset
from ml.training.selection import Say

VERSION: Final = "card-published-protocol"
HISTORY_DAYS: Final = 30
"""Days streamed before the first day of training."""
ONE_BY_ONE_DAYS: Final = 1
"""The last test days go through POST /predict, one by one; the others as batches."""


@dataclass(frozen=True, slots=True)
class HttpFigures:
    """Both sides' figures on the test days, and how far the scores of the whole stream are apart.

    `transactions`, `labels`: how many were sent; `one_by_one`: of these transactions, through POST /predict.
    `largest_difference`: in probability.
    """

    online: Figures
    offline: Figures
    transactions: int
    labels: int
    one_by_one: int
    largest_difference: float


def measure_over_http(data: Path, schema_file: Path, *, repository: Path, work_dir: Path, say: Say) -> HttpFigures:
    """Train on the fold, start a stack with the model, stream, compare. `work_dir`: empty, of this run's own.

    Raises:
        click.ClickException: the stack does not start, or refuses a row.
        DataInvalid, ProtocolBroken: this is not the handbook's data.
    """
    schema_text = schema_file.read_text(encoding="utf-8")
    frame, dataset, fold = _read(data, schema_text)
    bundle = _publish(dataset, fold, schema_text, model_dir(work_dir), say)
    offline = bundle.reference(dataset.X)
    with serving(work_dir, repository, schema_file) as port, closing(Stream(port, work_dir)) as stream:
        online = _stream_all(stream, frame, dataset, say)
    return HttpFigures(
        online=_on_test_days(dataset, fold, online),
        offline=_on_test_days(dataset, fold, offline),
        transactions=len(frame),
        labels=int((dataset.days <= dataset.days.max() - DELAY_DAYS).sum()),
        one_by_one=int((dataset.days > dataset.days.max() - ONE_BY_ONE_DAYS).sum()),
        largest_difference=float(np.max(np.abs(online - offline))),
    )


def _read(data: Path, schema_text: str) -> tuple[pd.DataFrame, Dataset, Fold]:
    """The stream's transactions, their columns point in time, and the fold at their end."""
    schema = parse_schema(schema_text)
    part = on_days(read_data(data, schema), range(FIRST_DAY - HISTORY_DAYS, FIRST_DAY + 7 + DELAY_DAYS + 7))
    # Ids are no model input, so training leaves them out; here they are sent.
    ids = pd.read_parquet(data, columns=["TRANSACTION_ID"])["TRANSACTION_ID"]
    frame = part.frame.assign(TRANSACTION_ID=ids[part.frame.index].astype(str)).reset_index(drop=True)
    spec = FeatureSpec.from_schema(schema, HISTORY_EVENTS)
    dataset = make_dataset(part, spec, label_delay_s=DELAY_DAYS * DAY_S)
    return frame, dataset, make_fold(dataset, FIRST_DAY)


def _publish(dataset: Dataset, fold: Fold, schema_text: str, models: Path, say: Say) -> Bundle:
    choice = choose([fold.choosing(dataset)], CANDIDATES, seed=0, say=say)
    fitting = fold.fitting(dataset)
    model = refit(fitting, choice, seed=0)
    digest = publish_fold(fitting, choice, model, schema_text=schema_text, directory=models / VERSION)
    promote(None, models, StoredBundle(VERSION, digest, VERSION, dataset.spec.schema.digest))
    return load_bundle(models / VERSION, digest=digest)


def _stream_all(stream: Stream, frame: pd.DataFrame, dataset: Dataset, say: Say) -> Floats:
    """(n,) what was answered, day by day: first the labels that become known on the day, then its transactions."""
    online = np.full(len(frame), np.nan)
    last = int(dataset.days.max())
    for day in range(int(dataset.days.min()), last + 1):
        say(f"streaming {datetime.fromtimestamp(day * DAY_S, UTC):%Y-%m-%d} over HTTP")
        labelled, rows = (np.flatnonzero(dataset.days == one) for one in (day - DELAY_DAYS, day))
        if len(labelled):
            stream.label(_as_label(frame, dataset, row) for row in labelled.tolist())
        online[rows] = _send_day(stream, frame, rows, one_by_one=day > last - ONE_BY_ONE_DAYS)
    return online


def _as_label(frame: pd.DataFrame, dataset: Dataset, row: int) -> Mapping[str, Any]:
    return {
        "transaction_id": frame["TRANSACTION_ID"][row],
        "is_fraud": bool(dataset.y[row]),
        "source": "chargeback",
        "known_at": rfc3339(dataset.times[row] + DELAY_DAYS * DAY_S),
    }


def _send_day(stream: Stream, frame: pd.DataFrame, rows: Integers, *, one_by_one: bool) -> Floats:
    requests = [_as_request(row) for row in frame.iloc[rows].itertuples()]
    found = stream.score_each(requests) if one_by_one else stream.score_batch(requests)
    return np.array([found[request["TRANSACTION_ID"]] for request in requests])


def _as_request(row: Any) -> dict[str, Any]:
    return {
        "TRANSACTION_ID": row.TRANSACTION_ID,
        "TX_DATETIME": f"{row.TX_DATETIME.isoformat()}Z",
        "CUSTOMER_ID": str(row.CUSTOMER_ID),
        "TERMINAL_ID": str(row.TERMINAL_ID),
        "TX_AMOUNT": float(row.TX_AMOUNT),
    }


def _on_test_days(dataset: Dataset, fold: Fold, scores: Floats) -> Figures:
    if dataset.cards is None:
        raise ValueError("the schema names no card")
    test = fold.test
    return figures(dataset.y[test], scores[test], days=dataset.days[test], cards=dataset.cards[test])
