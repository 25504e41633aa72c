"""The Celery application: what must never change by accident."""

from __future__ import annotations

import pytest

from config.celery_app import Role, make_celery
from config.settings import Settings


@pytest.mark.parametrize("role", ["scoring", "bulk", "background", "training", "web"])
def test_messages_are_read_as_json_only(role: Role) -> None:
    conf = make_celery(Settings(), role).conf

    assert (conf.accept_content, conf.task_serializer, conf.result_backend) == (["json"], "json", None)
