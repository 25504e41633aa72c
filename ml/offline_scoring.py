"""What a bundle would have answered: history is replayed over a data set, scikit-learn scores it.

The yardstick for what is served over HTTP, and the start of a backtest.
"""

from __future__ import annotations

import pandas as pd

from ml.bundle import Bundle
from ml.features.compiled import Floats
from ml.features.frame import assemble_frame


def offline_probabilities(
    bundle: Bundle, frame: pd.DataFrame, *, is_fraud: Floats | None = None, label_delay_s: float = 0.0
) -> Floats:
    """(n,) calibrated fraud probabilities in frame order, each as if the rows before it had arrived and no
    others.

    `frame`: columns named as the schema's fields. `is_fraud`: (n,) 0, 1 or NaN, labels that become known
    `label_delay_s` after their transaction; None: no label was ever reported.

    Raises:
        InvalidTransaction: a column holds what its field's type does not allow.
    """
    X = assemble_frame(
        frame, bundle.spec, bundle.featurizer.vocabularies, is_fraud=is_fraud, label_delay_s=label_delay_s
    )
    return bundle.reference(X)
