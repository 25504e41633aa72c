"""Reading schema files: what is legal, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import SchemaInvalid
from config.schema.forms import Alternative, alternatives
from config.schema.lines import locate
from config.schema.load import load_schema, parse_schema
from config.schema.model import Derivation, Schema
from config.setting_groups.places import DEFAULT_SCHEMA

SMALL = """\
name = "small"

[roles]
amount = "amount"
event_time = "at"
label = "is_fraud"
entities = { account = "account_id" }

[fields.amount]
type = "number"
min = 0

[fields.at]
type = "timestamp"

[fields.account_id]
type = "id"

[features.account_count_24h]
entity = "account"
aggregate = "count"
window = "24h"
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(SchemaInvalid) as caught:
        parse_schema(text)
    return [error.message for error in caught.value.errors]


def codes(text: str) -> list[str]:
    with pytest.raises(SchemaInvalid) as caught:
        parse_schema(text)
    return [error.code for error in caught.value.errors]


def one_field(*lines: str) -> str:
    return "\n".join(('name = "x"', "[fields.amount]", *lines))


def test_the_default_schema_declares_the_seeds_six_fields_first() -> None:
    schema = load_schema(DEFAULT_SCHEMA)
    assert [field.name for field in schema.fields[:6]] == [
        "amount", "hour", "day_of_week", "merchant_category", "previous_amount", "time_since_last",
    ]  # fmt: skip
    assert schema.roles.label == "is_fraud"
    assert schema.by_name["previous_amount"].derived == Derivation(entity="account", aggregate="last", of="amount")


def test_the_card_schema_names_the_handbooks_entities() -> None:
    schema = load_schema(DEFAULT_SCHEMA.parent / "card.toml")
    assert schema.roles.entities == (("customer", "CUSTOMER_ID"), ("terminal", "TERMINAL_ID"))
    assert all(f.delay_s == 7 * 86_400 for f in schema.features if f.aggregate == "fraud_rate")


def test_windows_are_read_as_seconds() -> None:
    for text, seconds in {"90s": 90, "30m": 1800, "1h": 3600, "7d": 604_800}.items():
        schema = parse_schema(SMALL.replace('"24h"', f'"{text}"'))
        assert schema.features[0].window_s == seconds


def test_thirty_anonymous_numbers_without_any_role_are_a_schema() -> None:
    fields = "".join(f'[fields.V{i}]\ntype = "number"\n' for i in range(1, 31))
    schema = parse_schema(f'name = "anonymous"\n{fields}')
    assert len(schema.model_fields) == 30
    assert schema.roles.amount is None


def test_field_names_need_not_be_identifiers() -> None:
    schema = parse_schema('name = "x"\n[fields."Betrag (€).netto"]\ntype = "number"\n')
    assert list(schema.by_name) == ["Betrag (€).netto"]


def test_missing_allowed_means_not_required_unless_said_otherwise() -> None:
    optional = parse_schema(one_field('type = "number"', "missing = true")).fields[0]
    required = parse_schema(one_field('type = "number"', "missing = true", "required = true")).fields[0]
    assert (optional.nullable, optional.required) == (True, False)
    assert (required.nullable, required.required) == (True, True)


def test_every_mistake_is_reported_at_once_with_its_line() -> None:
    text = SMALL.replace('type = "number"', 'type = "numbr"').replace('entity = "account"', 'entity = "acount"')
    found = mistakes(text + 'windw = "1h"\n')
    assert found[0].startswith('line 10: "type" cannot be "numbr"; did you mean "number"?')
    assert found[1].startswith('line 20: no entity is called "acount"; did you mean "account"?')
    assert found[2].startswith('line 23: unknown key "windw"; did you mean "window"?')


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('amount = "amount"', 'amount = "amont"', "unknown_field"),
        ('amount = "amount"', 'amount = "account_id"', "wrong_type"),
        ('event_time = "at"', 'event_time = "amount"', "wrong_type"),
        ('account = "account_id"', 'account = "amount"', "wrong_type"),
        ('account = "account_id"', '"Account Id" = "account_id"', "bad_name"),
        ('label = "is_fraud"', 'label = "amount"', "label_is_field"),
        ("min = 0", "min = 5\nmax = 1", "bad_bounds"),
        ("min = 0", "min = nan", "wrong_type"),
        ("min = 0", "min = true", "wrong_type"),
        ("min = 0", 'min = "0"', "wrong_type"),
        ("min = 0", "max_length = 3", "not_allowed"),
        ("min = 0", "example = -1\nmin = 0", "bad_example"),
        ("min = 0", 'derived = { calendar = "hour", entity = "account" }', "bad_derivation"),
        ("min = 0", "derived = { }", "bad_derivation"),
        ("min = 0", 'derived = { calendar = "ohur" }', "unknown_value"),
        ("min = 0", 'naive = "utc"', "not_allowed"),
        ('type = "timestamp"', 'type = "timestamp"\nformat = "iso"', "unknown_value"),
        ('type = "timestamp"', 'type = "timestamp"\nformat = "unix"\nunit = "fortnights"', "unknown_value"),
        ('type = "timestamp"', 'type = "timestamp"\nmin = 3', "not_allowed"),
        ('type = "id"', 'type = "id"\nmodel = true', "not_allowed"),
        ('type = "id"', 'type = "id"\nmax_length = 0', "out_of_bounds"),
        ('window = "24h"', 'window = "24 hours"', "wrong_type"),
        ('window = "24h"', "window = 24", "wrong_type"),
        ('window = "24h"', 'window = "0h"', "out_of_bounds"),
        ('aggregate = "count"', 'aggregate = "count"\nof = "amount"', "not_allowed"),
        ('aggregate = "count"', 'aggregate = "mean"\nof = "account_id"', "wrong_type"),
        ('aggregate = "count"', 'aggregate = "mean"\nof = "amonut"', "unknown_field"),
        ('aggregate = "count"', 'aggregate = "distinct"', "missing_key"),
        ('aggregate = "count"', 'aggregate = "time_since_last"\nunit = "days"', "unknown_value"),
        ("account_count_24h", "amount", "duplicate_name"),
        ('name = "small"', 'nam = "small"', "missing_key"),
        ('name = "small"', 'name = "small"\nversion = "1"', "wrong_type"),
        ('name = "small"', 'name = "small"\nmask_history_share = 1', "out_of_bounds"),
        ('name = "small"', 'name = "small"\nunknown_fields = "allow"', "unknown_value"),
    ],
)
def test_a_mistake_has_a_code(old: str, new: str, code: str) -> None:
    assert code in codes(SMALL.replace(old, new, 1))


def test_label_features_need_a_label() -> None:
    text = SMALL.replace('label = "is_fraud"\n', "").replace('"count"', '"fraud_rate"')
    assert mistakes(text) == ["line 20: fraud_rate needs roles.label"]


def test_calendar_parts_need_an_event_time() -> None:
    assert codes(one_field('type = "integer"', 'derived = { calendar = "hour" }')) == ["missing_role"]


def test_aggregating_a_derived_field_is_refused() -> None:
    field = '[fields.last]\ntype = "number"\nderived = { entity = "account", aggregate = "last" }\n'
    feature = '[features.f]\nentity = "account"\naggregate = "mean"\nof = "last"\n'
    assert "derived itself" in mistakes(SMALL + field + feature)[0]


def test_a_schema_without_any_model_input_is_refused() -> None:
    assert codes('name = "x"\n[fields.a]\ntype = "id"\n') == ["no_model_input"]


def test_broken_toml_is_told_by_line() -> None:
    assert mistakes('name = "x"\n[fields.a\n')[0].startswith("line 2: ")
    assert mistakes("[fields.a]\n[fields.a]\n")[0].startswith("line 2: ")


def test_a_file_that_is_not_there_or_not_text_is_a_clear_mistake(tmp_path: Path) -> None:
    with pytest.raises(SchemaInvalid, match="No such file"):
        load_schema(tmp_path / "nothing.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SchemaInvalid, match="not UTF-8"):
        load_schema(tmp_path / "binary.toml")


def digest(text: str) -> str:
    schema: Schema = parse_schema(text)
    return schema.digest


def test_the_digest_ignores_comments_descriptions_examples_and_the_order_of_keys() -> None:
    reworded = SMALL.replace(
        'type = "number"\nmin = 0', '# why\nmin = 0.0\ndescription = "d"\nexample = 3\ntype = "number"'
    )
    assert digest(reworded) == digest(SMALL)
    assert len(digest(SMALL)) == 64


def test_the_digest_sees_bounds_windows_and_the_order_of_fields() -> None:
    moved = SMALL.replace('[fields.account_id]\ntype = "id"\n', "").replace(
        "[fields.amount]", '[fields.account_id]\ntype = "id"\n\n[fields.amount]'
    )
    changed = {digest(SMALL.replace("min = 0", "min = 1")), digest(SMALL.replace("24h", "25h")), digest(moved)}
    assert len(changed | {digest(SMALL)}) == 4


def test_lines_are_found_behind_values_of_many_lines() -> None:
    text = 'a = """\n[not.a.table]\nb = 1\n"""\n[t."x y".z]\nlist = [\n  1, # ]\n  2,\n]\n"k\\u0041" = { m = 1 }\n'
    assert locate(text) == {("a",): 1, ("t", "x y", "z"): 5, ("t", "x y", "z", "list"): 6, ("t", "x y", "z", "kA"): 10}


@pytest.mark.parametrize("pattern", ["%Q", "%H:%M", "%d/%m", "%", "%s", "%Y %Y"])
def test_a_time_format_that_cannot_be_read_back_is_refused(pattern: str) -> None:
    text = f'name = "x"\n[fields.a]\ntype = "number"\n[fields.t]\ntype = "timestamp"\nformat = "{pattern}"\n'

    (mistake,) = mistakes(text)

    assert mistake.startswith("line 6: a time written as")


@pytest.mark.parametrize(
    "pattern", ["%d/%m/%Y %H:%M", "%y%m%d", "%Y-%m-%dT%H:%M:%S.%f%z", "%I:%M %p %d.%m.%Y", "%Y %j"]
)
def test_time_formats_that_can_be_read_back_are_taken(pattern: str) -> None:
    text = f'name = "x"\n[fields.a]\ntype = "number"\n[fields.t]\ntype = "timestamp"\nformat = "{pattern}"\n'

    assert parse_schema(text).by_name["t"].format == pattern


def test_one_mistake_does_not_hide_another() -> None:
    text = SMALL.replace('type = "number"\nmin = 0', 'type = "numbr"\nmin = 5\nmax = 1')
    text = text.replace('entity = "account"\naggregate = "count"', 'entity = "acount"\naggregate = "avg"\nof = "zz"')

    found = codes(text)

    assert sorted(found) == ["bad_bounds", "unknown_entity", "unknown_field", "unknown_value", "unknown_value"]


def test_an_unknown_word_in_a_derivation_is_one_mistake() -> None:
    text = SMALL + '[fields.h]\ntype = "integer"\nderived = { calendar = "hours" }\n'

    assert codes(text) == ["unknown_value"]


BORN = SMALL + '[fields.born]\ntype = "timestamp"\nformat = "%d/%m/%Y"\n'


def test_a_field_may_be_the_time_since_another() -> None:
    schema = parse_schema(BORN + '[fields.age]\ntype = "number"\nunit = "d"\nderived = { since = "born" }\n')

    assert schema.by_name["age"].derived == Derivation(since="born")
    assert alternatives(schema) == (Alternative("born", ("age",)),)


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ('type = "integer"\nderived = { since = "born" }', "wrong_type"),
        ('type = "number"\nunit = "EUR"\nderived = { since = "born" }', "unknown_value"),
        ('type = "number"\nderived = { since = "bron" }', "unknown_field"),
        ('type = "number"\nderived = { since = "amount" }', "wrong_type"),
        ('type = "number"\nderived = { since = "at" }', "not_allowed"),
        ('type = "number"\nderived = { since = "born", calendar = "hour" }', "bad_derivation"),
    ],
)
def test_the_time_since_something_else_is_refused(lines: str, code: str) -> None:
    assert codes(f"{BORN}[fields.age]\n{lines}\n") == [code]


def test_the_time_since_another_field_needs_an_event_time() -> None:
    text = BORN.replace('event_time = "at"\n', "")
    assert codes(text + '[fields.age]\ntype = "number"\nderived = { since = "born" }\n') == ["missing_role"]


def test_the_digest_of_a_file_without_the_newest_keys_is_what_it_was() -> None:
    assert load_schema(DEFAULT_SCHEMA).digest.startswith("ff8948e4d5b42ce5")
