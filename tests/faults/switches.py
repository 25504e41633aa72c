"""The switches of a faulty worker, and the scorer that obeys them.

A switch is a file in `TOLLGATE_FAULT_DIR`. `slow-NAME` makes worker NAME sleep that many seconds in each batch that is
not a canary alone, `late-NAME` in any. `hang` is taken by the first worker that sees it, which then never returns. A
row whose id contains `poison` cannot be scored.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from workers.scorer import BatchScorer, Stage, untimed
from workers.store import Finished, Observed

POISON = "poison"


def fault_dir() -> Path:
    """Where the switches are."""
    return Path(os.environ["TOLLGATE_FAULT_DIR"])


def worker_name() -> str:
    """The name of this worker, as the stack knows it."""
    return os.environ["TOLLGATE_FAULT_WORKER"]


def take(switch: str) -> bool:
    """Whether this process took the switch: of several that try, one. What it took is then called `SWITCH-by-NAME`."""
    with suppress(FileNotFoundError):
        (fault_dir() / switch).rename(fault_dir() / f"{switch}-by-{worker_name()}")
        return True
    return False


def wait_to_be_killed() -> None:
    """Never return."""
    threading.Event().wait()


class FaultyScorer(BatchScorer):
    """Scores as its base class does, unless a switch says otherwise."""

    def finish(self, observed: Sequence[Observed], *, stage: Stage = untimed) -> list[Finished]:
        with suppress(FileNotFoundError):
            time.sleep(float((fault_dir() / f"late-{worker_name()}").read_text()))
        if any(not item.row.is_canary for item in observed):
            self._misbehave(observed)
        return super().finish(observed, stage=stage)

    def _misbehave(self, observed: Sequence[Observed]) -> None:
        if take("hang"):
            (fault_dir() / f"hang-by-{worker_name()}").write_text("\n".join(_ids(observed)))
            wait_to_be_killed()
        with suppress(FileNotFoundError):
            seconds = float((fault_dir() / f"slow-{worker_name()}").read_text())
            with (fault_dir() / f"scored-by-{worker_name()}").open("a") as log:
                log.writelines(f"{transaction_id}\n" for transaction_id in _ids(observed))
            time.sleep(seconds)

    def _score_together(self, items: Sequence[Observed], stage: Stage) -> list[Any]:
        if any(POISON in item.row.transaction_id for item in items):
            raise ValueError("a poison row")
        return super()._score_together(items, stage)


def _ids(observed: Sequence[Observed]) -> list[str]:
    return [item.row.transaction_id for item in observed if not item.row.is_canary]
