"""The failpoint of scenario 2: a transport that stops between the pop of a message and its unacknowledged record."""

from __future__ import annotations

from typing import Any

from config import names
from config.queue import transport
from tests.faults.switches import take, wait_to_be_killed

STOP = "stop-after-pop"


class QoS(transport.QoS):
    """Stops where a message is in no queue and in no record: only the inbox knows of it."""

    def append(self, message: Any, delivery_tag: str) -> None:
        if message.delivery_info["routing_key"] in names.SCORING_QUEUES and take(STOP):
            wait_to_be_killed()
        super().append(message, delivery_tag)


class Channel(transport.Channel):
    """A channel with the failpoint."""

    QoS = QoS


class StoppingTransport(transport.Transport):
    """The production transport over a channel with the failpoint."""

    Channel = Channel
