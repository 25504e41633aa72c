"""The Prefer header, read as RFC 7240 writes it."""

from __future__ import annotations

import pytest

from web.preferences import Preferences, parse_prefer


@pytest.mark.parametrize(
    ("header", "respond_async", "wait_s"),
    [
        ("respond-async", True, None),
        ("Respond-Async", True, None),
        ("wait=5", False, 5),
        ('wait="5"', False, 5),
        ("wait = 5", False, 5),
        ("WAIT=0", False, 0),
        ("respond-async, wait=10", True, 10),
        ("wait=10,respond-async", True, 10),
        ("respond-async; foo=bar; baz", True, None),
        ('wait=3; note="a, b; c", respond-async', True, 3),
        ("handling=strict, wait=4", False, 4),
        ('note="respond-async, wait=9"', False, None),
        # The first of a repeated preference counts, even when it cannot be used.
        ("wait=3, wait=9", False, 3),
        ("wait=x, wait=9", False, None),
        # Malformed ones are ignored.
        ("wait", False, None),
        ("wait=", False, None),
        ("wait=-1", False, None),
        ("wait=1.5", False, None),
        ("wait=1e3", False, None),
        ("wait=٣", False, None),
        ("respond-async=false", False, None),
        ("respond async", False, None),
        ("=", False, None),
        ("", False, None),
        (",,,", False, None),
        (",, wait=2 ,", False, 2),
        ('wait="5', False, None),
    ],
)
def test_preferences_are_read_or_ignored(header: str, respond_async: bool, wait_s: int | None) -> None:
    assert parse_prefer(header, max_wait_s=30) == Preferences(respond_async, wait_s)


@pytest.mark.parametrize("asked", ["31", "99999999999999999999999999"])
def test_a_wait_is_capped(asked: str) -> None:
    assert parse_prefer(f"wait={asked}", max_wait_s=30).wait_s == 30


@pytest.mark.parametrize("header", ['"' * 5000, "a;" * 5000, 'x="\\' * 3000, ", " * 5000, "a=" * 5000])
def test_a_hostile_header_is_read_in_bounded_time(header: str) -> None:
    assert parse_prefer(header, max_wait_s=30) == Preferences()


def test_applied_names_what_was_honoured() -> None:
    assert Preferences(respond_async=True, wait_s=2).applied == "respond-async, wait=2"
    assert Preferences().applied == ""
