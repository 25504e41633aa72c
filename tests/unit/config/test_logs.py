"""Log lines: the ids of their request and task, JSON for machines, and never a card number."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from config.card_numbers import MASK
from config.log_context import begin_request, begin_task
from config.log_masking import mask_cards
from config.logs import configure_logs
from config.settings import Settings

VISA = "4111111111111111"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Begins outside of any request; what was set before comes back."""
    begin_request("")
    begin_task("")
    root = logging.getLogger()
    before, level, configured = root.handlers[:], root.level, structlog.get_config()
    yield
    structlog.configure(**configured)
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = before
    root.setLevel(level)
    begin_request("")
    begin_task("")


def logger() -> Any:
    """A logger as every process has it, in JSON."""
    configure_logs(Settings(log_format="json"), process="test")
    return structlog.get_logger("tollgate.test")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_carries_the_ids_of_its_request_and_task(capsys: pytest.CaptureFixture[str]) -> None:
    begin_request("")  # another test of this process may have answered one
    log = logger()
    log.info("outside")
    begin_request("r-1")
    begin_task("t-1")
    log.warning("inside", rows=3)
    logging.getLogger("some.library").warning("of a library")

    outside, inside, library = lines(capsys)

    assert "request_id" not in outside
    assert {
        "event": "inside",
        "rows": 3,
        "request_id": "r-1",
        "task_id": "t-1",
        "process": "test",
    }.items() <= inside.items()
    assert library["request_id"] == "r-1"
    assert inside["level"] == "warning"
    assert inside["timestamp"].endswith("Z")


def test_a_card_number_is_masked_wherever_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    log = logger()
    try:
        raise ValueError(f"cannot parse {VISA}")
    except ValueError:
        log.exception("crashed", sent={"card": VISA, "list": [f"no {VISA[:4]} 1111 1111 1111"]}, number=int(VISA))
    logging.getLogger("some.library").warning("body was %s", VISA)

    text = capsys.readouterr().err

    assert "crashed" in text
    assert text.count(MASK) == 5
    assert VISA not in text
    assert "1111 1111" not in text


@pytest.mark.parametrize(
    "value",
    [
        "4111111111111112",  # the check digit is wrong
        "1764115200000",  # a time in milliseconds
        f"a{VISA}",  # a part of an id
        "0199fc4111111111111111ab",
        True,
        {"amount": 1500.5, "rows": 4111},
    ],
)
def test_what_is_no_card_number_stays(value: object) -> None:
    assert mask_cards(None, "info", {"event": "e", "value": value}) == {"event": "e", "value": value}
