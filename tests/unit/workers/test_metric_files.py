"""Which files a worker counts in."""

from __future__ import annotations

from platform import node

import pytest

from workers.metric_files import process_name


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["celery", "-A", "x", "worker", "--hostname", "scoring-2@%h"], f"scoring-2@{node()}"),
        (["celery", "worker", "-n", "a@b", "-n", "c@d"], "c@d"),
        (["celery", "-A", "x", "beat"], "beat"),
    ],
)
def test_a_process_is_named_by_its_command_line(argv: list[str], name: str) -> None:
    assert process_name(argv) == name
