"""The JSON Schema of a schema file says what the validator does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from config.errors import InvalidTransaction
from config.schema.load import load_schema, parse_schema
from config.schema.model import Schema
from config.schema.openapi import example, examples, json_schema
from config.schema.validate import Validator, compile_validator
from config.setting_groups.places import DEFAULT_SCHEMA

PAYMENT = load_schema(DEFAULT_SCHEMA)
CARD = load_schema(DEFAULT_SCHEMA.parent / "card.toml")
MIXED = parse_schema(
    """
    name = "mixed"
    unknown_fields = "ignore"
    roles = { event_time = "when", entities = { account = "who" } }
    [fields.number]
    type = "number"
    min = -1.5
    max = 2.5
    [fields.whole]
    type = "integer"
    missing = true
    required = true
    [fields.flag]
    type = "boolean"
    missing = true
    [fields."a b.c"]
    type = "category"
    max_length = 3
    [fields.note]
    type = "string"
    required = false
    max_length = 4
    [fields.who]
    type = "id"
    missing = true
    max_length = 5
    [fields.when]
    type = "timestamp"
    format = "unix"
    unit = "days"
    missing = true
    [fields.day]
    type = "integer"
    derived = { calendar = "day_of_week" }
    [fields.before]
    type = "number"
    missing = true
    required = true
    derived = { entity = "account", aggregate = "last", of = "number" }
    """
)
SCHEMAS = [PAYMENT, CARD, MIXED]


def accepts(validator: Validator, document: dict[str, Any]) -> bool:
    try:
        validator.validate(document)
    except InvalidTransaction:
        return False
    return True


def judge(schema: Schema) -> Draft202012Validator:
    document = json_schema(schema)
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document)


def test_the_example_of_the_default_schema_is_the_seeds_request() -> None:
    seed = {
        "amount": 1500.0, "hour": 3, "day_of_week": 1, "merchant_category": "online", "previous_amount": 50.0,
        "time_since_last": 0.5,
    }  # fmt: skip
    assert example(PAYMENT) == seed
    assert list(example(PAYMENT)) == list(seed)


def test_there_is_an_example_of_each_form() -> None:
    assert set(examples(PAYMENT)) == {"fields", "history"}
    history = examples(PAYMENT)["history"]
    assert {"account_id", "merchant_id", "timestamp", "transaction_id"} <= set(history)
    assert not {"hour", "previous_amount"} & set(history)
    assert set(examples(CARD)) == {"fields"}


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)
def test_every_example_is_valid_for_both(schema: Schema) -> None:
    for document in examples(schema).values():
        judge(schema).validate(document)
        compile_validator(schema).validate(document)


def test_examples_are_made_inside_of_the_bounds() -> None:
    lines: list[list[str]] = [["min = -3", "max = -2"], ["min = 100"], ["max = -100"], ["max = 0.25"], []]
    text = "".join(
        f'[fields.{kind}{i}]\ntype = "{kind}"\n' + "\n".join(bounds) + "\n"
        for kind in ("number", "integer")
        for i, bounds in enumerate(lines)
    )
    schema = parse_schema(f'name = "x"\n{text}[fields.c]\ntype = "category"\nmax_length = 1\n')
    compile_validator(schema).validate(example(schema))


def test_bounds_and_words_reach_the_document() -> None:
    properties = json_schema(PAYMENT)["properties"]
    assert properties["hour"] | {"description": "", "examples": []} == {
        "type": "integer", "minimum": 0, "maximum": 23, "description": "", "examples": [],
    }  # fmt: skip
    assert properties["merchant_category"]["maxLength"] == 64
    assert "Unit: hours." in properties["time_since_last"]["description"]
    assert json_schema(PAYMENT)["additionalProperties"] is False
    assert json_schema(MIXED)["additionalProperties"] is True


_ODD = st.sampled_from([
    None, True, False, 0, 1, -1, 2, 3, 6, 7, 23, 24, 3.0, 3.5, -0.0, 2.5, 2.6, -1.5, 1e300, 2**63, -(2**63),
    -9999, -10000, 99999, 100000, "", "a", "abc", "abcd", "abcde", "abcdef", "x" * 65, "x" * 129, "a\0", "a\nb", "é",
    "3", [], {}, [1], {"a": 1},
    "2026-03-01T09:30:00Z", "2026-03-01", "2026-03-01 09:30", "now", "EUR",
])  # fmt: skip


def documents(schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    """Examples with some fields dropped, some changed and sometimes one too many."""
    names = [field.name for field in schema.fields]
    whole = {name: value for form in examples(schema).values() for name, value in form.items()}
    changes = st.dictionaries(st.sampled_from([*names, "other"]), _ODD, max_size=3)
    dropped = st.sets(st.sampled_from(names), max_size=6)
    return st.builds(
        lambda changed, gone: {k: v for k, v in (whole | changed).items() if k not in gone}, changes, dropped
    )


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)
def test_json_schema_and_validator_agree(schema: Schema) -> None:
    json_schema_validator, validator = judge(schema), compile_validator(schema)

    @settings(max_examples=60, deadline=None, database=None)
    @given(documents(schema))
    def agree(document: dict[str, Any]) -> None:
        assert json_schema_validator.is_valid(document) == accepts(validator, document)

    agree()
