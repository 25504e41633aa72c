"""What the streamed protocol reads off a server, and how it writes times."""

from __future__ import annotations

import pytest

from deploy.quality.stream import gauge, rfc3339


def test_a_gauge_is_read_by_its_whole_name() -> None:
    exposition = "# TYPE tollgate_inbox gauge\ntollgate_inbox_oldest 7.0\ntollgate_inbox 3.0\n"

    assert gauge(exposition, "tollgate_inbox") == 3.0


def test_a_server_without_the_gauge_is_an_error_and_not_a_zero() -> None:
    with pytest.raises(LookupError, match="tollgate_inbox"):
        gauge("up 1.0\n", "tollgate_inbox")


def test_times_are_written_with_their_zone() -> None:
    assert rfc3339(1_532_476_800.0) == "2018-07-25T00:00:00Z"
