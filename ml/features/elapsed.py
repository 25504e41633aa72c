"""Time from a moment that a field tells (a date of birth, an account's opening) to the event. Online and offline
call this code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.features.compiled import Floats


@dataclass(frozen=True, slots=True)
class Elapsed:
    """A column of X derived from a timestamp field. `place`: that field's index in a transaction's values; `field`:
    its name; `column`: of X; `unit_s`: seconds per unit of the result.
    """

    field: str
    place: int
    column: int
    unit_s: float


def fill_elapsed(elapsed: Elapsed, times: Floats, moments: Floats, X: Floats) -> None:
    """Fill the column where it was not sent: event time minus moment, NaN without a moment; negative when that lies
    ahead. `times`, `moments`: (n,) Unix seconds, in the order of the rows of `X` (n, p).
    """
    unsent = np.isnan(X[:, elapsed.column])
    X[unsent, elapsed.column] = (times[unsent] - moments[unsent]) / elapsed.unit_s
