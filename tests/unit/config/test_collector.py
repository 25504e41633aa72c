"""What has settled is left alone by the garbage collector, what comes after is not."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from config.collector import keep, settle


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.freeze()  # as tests/conftest.py had left it


@pytest.mark.parametrize("put_aside", [keep, settle])
def test_later_collections_do_not_look_at_what_was_there(put_aside) -> None:
    resident = [[] for _ in range(1000)]

    put_aside()

    assert not any(one is resident[0] for one in gc.get_objects())
    assert gc.get_freeze_count() > 1000


def test_garbage_that_comes_after_is_collected() -> None:
    settle()
    cycle: list[object] = []
    cycle.append(cycle)
    del cycle

    assert gc.collect() >= 1
