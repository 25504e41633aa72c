"""The reload broadcast, as a Celery remote-control command. It only makes the worker look at the pointer now."""

from __future__ import annotations

from typing import Any

from celery.worker.control import control_command

from config import names
from workers.runtime import has_scoring_runtime, scoring_runtime


@control_command(name=names.CONTROL_RELOAD)
def reload_model(_state: Any) -> dict[str, str]:
    """Compare the served model with the champion pointer at once. Every worker hears it, also one without a model."""
    if not has_scoring_runtime():
        return {"status": "serves no model"}
    runtime = scoring_runtime()
    runtime.holder.look_soon()
    return {"worker": runtime.worker, "status": "looking"}
