"""`python -m deploy.launcher.record_models`: tell MLflow about bundles that it does not know yet, and who is champion.

The first model is trained before MLflow has come up, and `tollgate train` may run without it.
"""

from __future__ import annotations

import sys
import time

import redis

from config.queue.connections import make_redis
from config.queue.stats import read_champion
from config.settings import Settings, load_settings
from deploy.launcher.health import answers
from ml.training.tracking import log_missing_runs, mark_champion

PATIENCE_S = 180.0
POLL_S = 1.0


def main() -> None:
    """Wait for MLflow, then tell it; exit code 1 when it does not come up."""
    settings = load_settings()
    deadline = time.monotonic() + PATIENCE_S
    while not answers(f"{settings.mlflow_tracking_uri}/health"):
        if time.monotonic() > deadline:
            sys.exit(f"MLflow at {settings.mlflow_tracking_uri} does not answer")
        time.sleep(POLL_S)
    log_missing_runs(settings)
    # Always: the champion may have been swapped while MLflow was away.
    _mark(settings)


def _mark(settings: Settings) -> None:
    try:
        champion = read_champion(make_redis(settings, timeout_s=2.0))
    except redis.RedisError as error:
        sys.exit(f"the champion is not known: {error}")
    if champion is not None:
        mark_champion(settings, champion.model_version)


if __name__ == "__main__":
    main()
