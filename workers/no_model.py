"""The reload broadcast as heard by a worker without a model (background, training). Importing it loads no science."""

from __future__ import annotations

from typing import Any

from celery.worker.control import control_command

from config import names


@control_command(name=names.CONTROL_RELOAD)
def reload_model(_state: Any) -> dict[str, str]:
    """Nothing to load: an unknown command would be an error in the log at every reload."""
    return {"status": "no model"}
