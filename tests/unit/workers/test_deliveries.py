"""What a worker notes about each message that it begins."""

from __future__ import annotations

import time
from typing import Any

from config.queue.clock import ServerClock
from workers import metrics
from workers.deliveries import note_delivery


class Request(dict[str, Any]):
    """Celery's request, as far as it is read."""

    @property
    def delivery_info(self) -> dict[str, Any] | None:
        return self.get("delivery_info")


def redeliveries(queue: str) -> float:
    return float(metrics.REDELIVERIES.labels(queue, "unacknowledged")._value.get())


def waited() -> tuple[float, float]:
    """How many messages waited in their queue, and how long in all."""
    [family] = metrics.STAGE_SECONDS.collect()
    found = {s.name: s.value for s in family.samples if s.labels.get("stage") == "queue" and "le" not in s.labels}
    return found[f"{family.name}_count"], found[f"{family.name}_sum"]


def test_only_what_was_given_out_before_counts_as_redelivered() -> None:
    before = redeliveries("score")

    note_delivery(Request(delivery_info={"routing_key": "score", "redelivered": True}), None)
    note_delivery(Request(delivery_info={"routing_key": "score", "redelivered": None}), None)
    note_delivery(Request(), None)

    assert redeliveries("score") == before + 1


def test_the_wait_in_the_queue_is_measured_on_the_brokers_clock() -> None:
    clock = ServerClock()
    clock.offset_ms = 60_000
    count, total = waited()

    note_delivery(Request(enqueued_ms=int(time.time() * 1000) + 60_000 - 250), clock)
    note_delivery(Request(enqueued_ms=0), clock)
    note_delivery(Request(enqueued_ms=1), None)

    assert waited()[0] == count + 1
    assert 0.25 <= waited()[1] - total < 60
