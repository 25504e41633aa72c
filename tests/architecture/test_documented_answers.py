"""What counts as the same answer when a page is held against the running system."""

from __future__ import annotations

import json

import pytest

from tests.documented.answers import difference


@pytest.mark.parametrize(
    ("printed", "answered"),
    [
        (
            "scoring-1@vm: serving payment-20261126031803-a4f2b08b",
            "scoring-1@host.x: serving payment-20270101000000-ffffffff",
        ),
        ("│ web │ running │ 22905 │ 2 min │ 0 │", "┃ web     ┃ running ┃ 7     ┃ 12 s  ┃ 0 ┃"),
        ("one\n...\nthree", "one\ntwo\nthree"),
        ("  served 0.0017", "  served   8.1e-05"),
    ],
)
def test_numbers_ids_machines_and_frames_differ(printed: str, answered: str) -> None:
    assert difference("text", printed, answered) is None


@pytest.mark.parametrize(("printed", "answered"), [("identical", "different"), ("b\na", "a\nb"), ("x 1\nx 1", "x 1")])
def test_words_and_their_order_do_not(printed: str, answered: str) -> None:
    assert difference("text", printed, answered) is not None


@pytest.mark.parametrize(
    ("printed", "answered", "is_alike"),
    [
        ({"p": 0.5}, {"p": 0.25, "more": 1}, True),
        ({"action": "review"}, {"action": "approve"}, False),
        ({"id": "01a2"}, {"id": "ffff"}, True),
        ({"p": 0.5}, {}, False),
        ({"p": None}, {"p": 1}, False),
        ({"is_fraud": True}, {"is_fraud": False}, False),
        ({"reasons": [{"code": "X"}]}, {"reasons": []}, False),
        ({"reasons": [{"code": "A_1"}]}, {"reasons": [{"code": "B_2", "x": 1}]}, True),
        ({"n": 1}, {"n": "1"}, False),
    ],
)
def test_json_has_the_keys_kinds_and_words_that_are_printed(printed: object, answered: object, is_alike: bool) -> None:
    assert (difference("json", json.dumps(printed), json.dumps(answered)) is None) == is_alike
