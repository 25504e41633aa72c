"""Wrong credentials count by address: 429 in the place of 401; keys that hold go on; logins ask first."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from config.errors import RateLimited
from web.limits.door import FailedCredentials
from web.limits.leases import Leases
from web.limits.store import MemoryLimitStore
from web.limits.tries import require_tries
from web.metrics import WebMetrics

ADDRESS = {"REMOTE_ADDR": "10.0.0.1"}


class Closed(list[bytes]):
    """A body that says whether it was closed."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True


BODY = Closed([b"who are you"])


def guarded(environ: dict[str, Any], start_response: Any) -> Closed:
    """An application with one key that holds."""
    holds = environ.get("HTTP_AUTHORIZATION") == "Bearer right"
    start_response("200 OK" if holds else "401 Unauthorized", [("Content-Length", "11")])
    return BODY


@pytest.fixture
def door() -> FailedCredentials:
    return FailedCredentials(guarded, "2/minute", Leases(MemoryLimitStore(), on_skip=lambda: None), WebMetrics())


def ask(door: FailedCredentials, key: str, environ: dict[str, Any] = ADDRESS) -> tuple[str, dict[str, str], bytes]:
    started: list[Any] = []
    chunks = door({**environ, "HTTP_AUTHORIZATION": f"Bearer {key}"}, lambda *args: started.extend(args))
    return started[0], dict(started[1]), b"".join(chunks)


def test_after_its_budget_an_address_reads_429_and_a_key_that_holds_goes_on(door: FailedCredentials) -> None:
    assert [ask(door, "wrong")[0][:3] for _ in range(4)] == ["401", "401", "429", "429"]

    assert ask(door, "right")[0] == "200 OK"
    assert ask(door, "wrong", {"REMOTE_ADDR": "10.0.0.2"})[0][:3] == "401"
    _, headers, body = ask(door, "wrong")
    document = msgspec.json.decode(body)
    assert (document["code"], document["budget"]) == ("rate_limited", "credentials")
    assert 1 <= int(headers["Retry-After"]) <= 60
    assert BODY.is_closed, "the answer that was replaced is closed, as WSGI asks"


def test_a_login_is_refused_before_it_looks_at_the_password(door: FailedCredentials) -> None:
    environ: dict[str, Any] = dict(ADDRESS)
    door(environ, lambda *_: None)
    require_tries(environ)

    ask(door, "wrong")
    with pytest.raises(RateLimited) as refused:
        require_tries(environ)
    assert refused.value.retry_after_s is not None


def test_where_nothing_is_limited_a_login_may_always_try() -> None:
    require_tries({})
