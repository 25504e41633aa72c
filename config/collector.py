"""Python's garbage collector, told what lives as long as the process.

A full collection walks over every object there is. With scikit-learn, Celery or Flask loaded those are hundreds of
thousands, and the process answers nothing for 50 to 100 ms: it was the tail of the latency, and a fifth of the time of
a batch.
"""

from __future__ import annotations

import gc


def keep() -> None:
    """What is there now stays, unlooked at: takes microseconds. For a model that has just been loaded."""
    gc.freeze()


def settle() -> None:
    """Collect once, then keep what is left: for a process that is ready, before its first request or message."""
    gc.collect()
    gc.freeze()
