"""How feature code is compiled, and the array types that it works on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile on first use, keep on disk, release the GIL, keep IEEE order (fastmath is off)."""
    return cast(F, njit(cache=True, nogil=True)(function))
