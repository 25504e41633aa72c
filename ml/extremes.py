"""Values that nobody means: a client may send an amount of 1e306, and its square is infinite."""

from __future__ import annotations

from typing import Final

import numpy as np

from ml.features.compiled import Floats

LARGEST: Final = 1e12
"""What is larger counts as this much, where models are fitted and figures are summed. Trees split the same below it."""


def bounded(values: Floats) -> Floats:
    """The same with nothing beyond LARGEST either way; NaN stays."""
    inside: Floats = np.clip(values, -LARGEST, LARGEST)
    return inside
