"""What a bulk worker process holds. Built once, at worker start."""

from __future__ import annotations

from dataclasses import dataclass

from config.schema.validate import Validator
from config.settings import Settings
from workers.bulk.chunk import ChunkScorer
from workers.bulk.store import BulkStore
from workers.runtime import ScoringRuntime


@dataclass(frozen=True, slots=True)
class BulkRuntime:
    """The parts that bulk tasks use."""

    settings: Settings
    scoring: ScoringRuntime
    store: BulkStore
    scorer: ChunkScorer
    validator: Validator


_runtime: BulkRuntime | None = None


def install(runtime: BulkRuntime) -> None:
    """Make `runtime` the one that this process's tasks use. Called once, at worker start."""
    global _runtime
    _runtime = runtime


def bulk_runtime() -> BulkRuntime:
    """The installed runtime. Raises RuntimeError in a process that is not a bulk worker."""
    if _runtime is None:
        raise RuntimeError("no bulk runtime: this process was not started with TOLLGATE_ROLE=bulk")
    return _runtime
