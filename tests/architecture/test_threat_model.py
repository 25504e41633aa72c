"""docs/THREAT_MODEL.md: every element is asked all six questions, every threat names a test or says that it is open."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "THREAT_MODEL.md").read_text("utf-8")
ELEMENTS = PAGE.split("\n## ")[1:]


def rows(element: str) -> list[list[str]]:
    lines = [line for line in element.splitlines() if re.match(r"\| [STRIDE] \|", line)]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def test_every_element_is_asked_about_all_of_stride() -> None:
    assert len(ELEMENTS) >= 6
    for element in ELEMENTS:
        assert {row[0] for row in rows(element)} == set("STRIDE"), element.splitlines()[0]


def test_every_threat_has_a_control_and_names_a_test_or_is_open() -> None:
    for row in (row for element in ELEMENTS for row in rows(element)):
        assert len(row) == 4, row
        assert re.search(r"`test_\w+`", row[3]) or "**open**" in row[3], row


def test_every_test_that_it_names_exists() -> None:
    texts = (path.read_text("utf-8") for path in (REPOSITORY / "tests").rglob("*.py"))
    defined = {name for text in texts for name in re.findall(r"def (test_\w+)\(", text)}

    assert set(re.findall(r"`(test_\w+)`", PAGE)) - defined == set()
