"""Live quality, rolled up on beat: days whose decisions or labels changed get new figures in the ledger."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from celery import shared_task

from config import names
from config.schema.model import Schema
from config.settings import Settings
from workers.background import background_runtime
from workers.ticks import is_superseded

if TYPE_CHECKING:
    from ml.quality.roll_up import RollUpPlan

log = structlog.get_logger(__name__)

ROLL_UP_FOR_S = 5.0


# Long: a day is made anew as a whole, however many decisions it has, and a worker that is replaced begins it again.
@shared_task(name=names.TASK_ROLL_UP_QUALITY, ignore_result=True, acks_late=True, soft_time_limit=540, time_limit=600)
def roll_up_quality() -> None:
    """Roll up the days that are due, for at most some seconds and a day; beat calls again. Safe to repeat."""
    # Here and not above: numpy is loaded only by the process that rolls up.
    from ml.quality.roll_up import roll_up

    runtime = background_runtime()
    if is_superseded(runtime.client):
        return
    until = time.monotonic() + ROLL_UP_FOR_S
    plan = roll_up_plan(runtime.schema, runtime.settings)
    done = roll_up(runtime.ledger.quality, plan, now=datetime.now(UTC), is_over=lambda: time.monotonic() > until)
    if done.days:
        log.info("quality_rolled_up", days=done.days, left=done.left)


def roll_up_plan(schema: Schema, settings: Settings) -> RollUpPlan:
    """What transactions of this schema are rolled up by. The first entity is the account that is alerted.

    Raises SettingInvalid: the policy file, which has the costs, has mistakes.
    """
    from ml.costs_in_force import costs_in_force
    from ml.quality.roll_up import RollUpPlan

    categories = [field.name for field in schema.fields if field.type == "category"]
    return RollUpPlan(
        k=settings.quality_top_k,
        segment=settings.quality_segment_field or next(iter(categories), None),
        account=schema.roles.entities[0] if schema.roles.entities else None,
        fallback_s=float(settings.label_delay_s),
        costs=costs_in_force(settings, schema),
        label_policy=settings.label_policy,
        is_delay_fixed=settings.label_delay_fixed,
    )
