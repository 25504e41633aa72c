"""The schema page shows files that load and names every key and code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config.schema import checks, read, validate
from config.schema.load import parse_schema

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "schema-files.md").read_text(encoding="utf-8")


def test_the_example_on_the_page_is_a_schema() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    schema = parse_schema(example)
    assert schema.roles.entities == (("account", "sender"),)


@pytest.mark.parametrize(
    "word",
    [*read.FIELD_KEYS, *read.FEATURE_KEYS, *read.ROLE_KEYS, *read.FIELD_TYPES, *read.AGGREGATES, *read.CALENDAR_PARTS],
)
def test_every_word_of_the_format_is_explained(word: str) -> None:
    assert f"`{word}`" in PAGE or f"`{word} =" in PAGE


def test_every_code_of_a_refusal_is_listed() -> None:
    source = "".join(Path(str(module.__file__)).read_text(encoding="utf-8") for module in (checks, validate))
    codes = set(re.findall(r'Refused\(\s*"([a-z_]+)"', source)) | set(
        re.findall(r'pointer\(.*?\), "([a-z_]+)"', source)
    )
    assert {"missing", "unknown_field", "wrong_type", "duplicate_key"} <= codes
    assert {code for code in codes if f"`{code}`" not in PAGE} == set()
