"""docs/reliability.md: every promise names a test that exists, and every scenario of the fault suite is a promise."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "reliability.md").read_text("utf-8")
SCENARIO = re.compile(r"@pytest\.mark\.scenario\((\d+), .*\)\ndef (test_\w+)")


def named_tests() -> set[str]:
    return set(re.findall(r"`(tests/\S+\.py::test_\w+)`", PAGE))


def scenarios() -> dict[int, str]:
    return {
        int(number): f"tests/faults/{path.name}::{test}"
        for path in (REPOSITORY / "tests" / "faults").glob("test_*.py")
        for number, test in SCENARIO.findall(path.read_text("utf-8"))
    }


def test_every_test_that_the_page_names_is_there() -> None:
    for name in named_tests():
        path, _, test = name.partition("::")
        assert f"def {test}(" in (REPOSITORY / path).read_text("utf-8"), name


def test_every_promise_names_a_test() -> None:
    table = PAGE.partition("| promise | shown by |")[2].partition("\n\n")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and "---" not in line]

    assert rows
    assert [row for row in rows if "`tests/" not in row] == []


def test_the_twenty_scenarios_are_there_and_promised() -> None:
    assert sorted(scenarios()) == list(range(1, 21))
    assert set(scenarios().values()) <= named_tests()
