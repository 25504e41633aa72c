"""A kind of fraud that the handbook's data does not have, put into it from a day on: card testing at night.

Twelve cards a day make six payments of 0.50 to 5 within the hour, between midnight and five, each at another terminal.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from ml.features.compiled import Floats
from ml.training.data import LabelledData

CARDS_A_DAY: Final = 12
PAYMENTS: Final = 6
AMOUNTS: Final = (0.5, 5.0)
NIGHT_S: Final = 5 * 3600
BURST_S: Final = 3600
DAY_S: Final = 86_400


def add_card_testing(data: LabelledData, first_day: int, rng: np.random.Generator) -> LabelledData:
    """The data with the new fraud among it, in time order. `first_day`: days since 1970; the last one is the data's.

    The same `rng` state gives the same rows.
    """
    last_day = int(data.frame["TX_DATETIME"].max().timestamp()) // DAY_S
    fraud = _payments(data.frame, range(first_day, last_day + 1), rng)
    frame = pd.concat([data.frame, fraud], ignore_index=True)
    y: Floats = np.concatenate([data.y, np.ones(len(fraud))])
    order = np.argsort(frame["TX_DATETIME"].to_numpy(), kind="stable")
    return LabelledData(frame.iloc[order].reset_index(drop=True), y[order], data.notes)


def _payments(frame: pd.DataFrame, days: range, rng: np.random.Generator) -> pd.DataFrame:
    bursts = len(days) * CARDS_A_DAY
    begins_s = np.repeat(np.array(days) * DAY_S, CARDS_A_DAY) + rng.integers(0, NIGHT_S - BURST_S, bursts)
    times_s = np.repeat(begins_s, PAYMENTS) + rng.integers(0, BURST_S, bursts * PAYMENTS)
    made = {
        "TX_DATETIME": times_s.astype("datetime64[s]").astype(frame["TX_DATETIME"].dtype),
        "CUSTOMER_ID": np.repeat(rng.choice(frame["CUSTOMER_ID"].unique(), bursts), PAYMENTS),
        "TERMINAL_ID": rng.choice(frame["TERMINAL_ID"].unique(), bursts * PAYMENTS),
        "TX_AMOUNT": rng.uniform(*AMOUNTS, bursts * PAYMENTS).round(2),
    }
    return pd.DataFrame(made)
