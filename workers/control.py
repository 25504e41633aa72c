"""The reload broadcast, as a Celery remote-control command. It only makes the worker look at the pointer now.

Workers without a model have `workers/no_model.py`.
"""

from __future__ import annotations

from typing import Any

from celery.worker.control import control_command

from config import names
from workers.runtime import scoring_runtime


@control_command(name=names.CONTROL_RELOAD)
def reload_model(_state: Any) -> dict[str, str]:
    """Compare the served model with the champion pointer at once."""
    runtime = scoring_runtime()
    runtime.holder.look_soon()
    return {"worker": runtime.worker, "status": "looking"}
