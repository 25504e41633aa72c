"""Each promise in the docs names the test that shows it; the test exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted((REPOSITORY / "docs").glob("*.md"))
NAMED = re.compile(r"`(test_\w+)`")


@pytest.fixture(scope="module")
def defined() -> set[str]:
    texts = (path.read_text("utf-8") for path in (REPOSITORY / "tests").rglob("*.py"))
    return {name for text in texts for name in re.findall(r"def (test_\w+)\(", text)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_exists(page: Path, defined: set[str]) -> None:
    assert set(NAMED.findall(page.read_text("utf-8"))) - defined == set()


@pytest.mark.parametrize("name", ["degradation.md", "retention.md"])
def test_the_pages_of_promises_name_tests(name: str) -> None:
    assert NAMED.search((REPOSITORY / "docs" / name).read_text("utf-8"))
