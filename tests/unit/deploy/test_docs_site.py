"""Pages that are written from the code, and how mkdocs is told of the rest."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.docs_site import hooks, references
from deploy.docs_site.json_shapes import fields, kind


def test_what_is_generated_from_the_code_is_what_the_code_says_now() -> None:
    stale = [path.name for path, text in references.generated() if path.read_text("utf-8") != text]

    assert stale == [], "`make references` writes them"


def test_what_is_generated_is_written_where_it_differs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "same").write_text("1")
    (tmp_path / "stale").write_text("1")
    wanted = [(tmp_path / "same", "1"), (tmp_path / "stale", "2"), (tmp_path / "new", "3")]
    monkeypatch.setattr(references, "generated", lambda: iter(wanted))

    assert references.write_all() == [tmp_path / "stale", tmp_path / "new"]
    assert [path.read_text() for path, _ in wanted] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ({"$ref": "#/components/schemas/Decision"}, "[Decision](#decision)"),
        ({"enum": ["a", "b"]}, '`"a"`, `"b"`'),
        ({"type": "number", "minimum": 0}, "number, from 0"),
        ({"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}, "integer"),
        ({"type": ["string", "null"], "maxLength": 64}, "string or null, at most 64"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Reason"}}, "list of [Reason](#reason)"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "object of number"),
        ({"type": "string", "format": "date-time"}, "string (date-time)"),
        ({}, "anything"),
    ],
)
def test_a_json_schema_in_a_few_words(shape: dict[str, object], words: str) -> None:
    assert kind(shape) == words


def test_a_field_says_whether_it_must_be_there_and_ends_no_cell() -> None:
    shape = {"required": ["a"], "properties": {"a": {"type": "string", "description": "this | that\n<b>"}, "b": {}}}

    assert list(fields(shape)) == [("a", "string", "required", r"this \| that &lt;b>"), ("b", "anything", "", "")]


def test_adrs_take_their_place_in_the_navigation_in_order(tmp_path: Path) -> None:
    (tmp_path / "adr").mkdir()
    (tmp_path / "adr" / "0010-second.md").write_text("# 10. Second\n")
    (tmp_path / "adr" / "0002-first.md").write_text("# 2. First\n")
    config = SimpleNamespace(docs_dir=str(tmp_path), nav=[{"Design": ["a.md", {"Decisions": "adr/*"}]}])

    nav = hooks.on_config(config).nav

    decisions = [{"2. First": "adr/0002-first.md"}, {"10. Second": "adr/0010-second.md"}]
    assert nav == [{"Design": ["a.md", {"Decisions": decisions}]}]


def test_an_adr_without_a_title_is_named(tmp_path: Path) -> None:
    (tmp_path / "adr").mkdir()
    (tmp_path / "adr" / "0001-none.md").write_text("Title\n")

    with pytest.raises(ValueError, match=r"0001-none.md does not begin"):
        hooks.on_config(SimpleNamespace(docs_dir=str(tmp_path), nav=["adr/*"]))


def test_a_list_may_follow_its_sentence_and_code_stays_as_it_is() -> None:
    page = "So:\n- one\n- two\n\n```sh\nls:\n- x\n```\n"

    assert hooks.on_page_markdown(page) == "So:\n\n- one\n- two\n\n```sh\nls:\n- x\n```"
