"""X-Request-Id: a client's own comes back and goes with its payment, otherwise it gets one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from config.log_context import current_request


@pytest.mark.parametrize("path", ["/health/live", "/nowhere"])
def test_a_request_is_called_what_its_client_calls_it(client: FlaskClient, path: str) -> None:
    assert client.get(path, headers={"X-Request-Id": "abc-1"}).headers["X-Request-Id"] == "abc-1"


def test_a_payment_has_its_request_id_while_it_is_scored(
    predict: Callable[..., Any], client: FlaskClient, gateway: Any
) -> None:
    seen: list[str] = []
    decide = gateway.decide
    gateway.decide = lambda *given: seen.append(current_request()) or decide(*given)

    answer = predict(headers={"X-Request-Id": "checkout-7"})

    assert answer.headers["X-Request-Id"] == "checkout-7"
    assert seen == ["checkout-7"]


@pytest.mark.parametrize("sent", [None, "", "x" * 65, "white space"])
def test_without_a_usable_id_every_request_gets_one_of_its_own(predict: Callable[..., Any], sent: str | None) -> None:
    headers = {} if sent is None else {"X-Request-Id": sent}

    first, second = (predict(headers=headers).headers["X-Request-Id"] for _ in range(2))

    assert first != second
    assert len(first) == 32
