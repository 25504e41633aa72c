"""Strict validation of request bodies, and the lenient reading of data rows."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from config.errors import InvalidTransaction, MalformedBody
from config.schema.checks import Refused
from config.schema.convert import compile_conversion
from config.schema.load import load_schema, parse_schema
from config.schema.validate import Validator, compile_validator
from config.setting_groups.places import DEFAULT_SCHEMA

SEED: dict[str, Any] = {
    "amount": 1500.0, "hour": 3, "day_of_week": 1, "merchant_category": "online", "previous_amount": 50.0,
    "time_since_last": 0.5,
}  # fmt: skip
WITH_HISTORY = {
    "amount": 12, "merchant_category": "online", "account_id": "a", "timestamp": "2026-03-01T09:30:00Z",
}  # fmt: skip


@pytest.fixture(scope="module")
def payment() -> Validator:
    return compile_validator(load_schema(DEFAULT_SCHEMA))


@pytest.fixture(scope="module")
def card() -> Validator:
    return compile_validator(load_schema(DEFAULT_SCHEMA.parent / "card.toml"))


def compiled(*lines: str, top: str = "") -> Validator:
    """A schema whose only field, `f`, is declared by `lines`, beside an optional number `n`."""
    fields = '[fields.n]\ntype = "number"\nrequired = false\n[fields.f]\n' + "\n".join(lines)
    return compile_validator(parse_schema(f'name = "x"\n{top}\n{fields}\n'))


def problems(validator: Validator, body: bytes | dict[str, Any]) -> set[tuple[str, str]]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(InvalidTransaction) as caught:
        validator.parse(raw)
    return {(error.pointer, error.code) for error in caught.value.errors}


def value_of(validator: Validator, value: Any) -> Any:
    return validator.parse(json.dumps({"f": value}).encode()).values[1]


def code_of(validator: Validator, value: Any) -> str:
    ((pointer, code),) = problems(validator, {"f": value})
    assert pointer == "/f"
    return code


def test_the_seeds_request_is_valid(payment: Validator) -> None:
    transaction = payment.parse(json.dumps(SEED).encode())
    assert transaction.values == [1500.0, 3, 1, "online", 50.0, 0.5, None, None, None, None, None]
    assert transaction.transaction_id is None


def test_the_history_form_needs_none_of_the_derived_fields(payment: Validator) -> None:
    transaction = payment.parse(json.dumps(WITH_HISTORY).encode())
    assert transaction.values[1] is None
    assert transaction.values[9] == datetime(2026, 3, 1, 9, 30, tzinfo=UTC).timestamp()


def test_a_derived_field_is_required_when_its_source_is_not_sent(payment: Validator) -> None:
    del (body := dict(WITH_HISTORY))["timestamp"]
    assert problems(payment, body) == {("/hour", "missing"), ("/day_of_week", "missing")}
    assert problems(payment, {"amount": 1, "merchant_category": "x", "hour": 1, "day_of_week": 1}) == {
        ("/previous_amount", "missing"),
        ("/time_since_last", "missing"),
    }


def test_what_the_client_sends_stays_beside_its_source(payment: Validator) -> None:
    assert payment.validate({**WITH_HISTORY, "hour": 5}).values[1] == 5


def test_every_mistake_is_named(payment: Validator) -> None:
    body = {"amount": -1, "hour": "3", "merchant_category": "x" * 65, "day_of_week": 7, "amonut": 1, "account_id": "a"}
    assert problems(payment, body) == {
        ("/amount", "out_of_bounds"),
        ("/hour", "wrong_type"),
        ("/merchant_category", "too_long"),
        ("/day_of_week", "out_of_bounds"),
        ("/amonut", "unknown_field"),
    }


def test_an_unknown_field_suggests_the_nearest(payment: Validator) -> None:
    with pytest.raises(InvalidTransaction) as caught:
        payment.validate({**SEED, "Merchant_Categry": "x"})
    assert 'did you mean "merchant_category"?' in caught.value.errors[0].message


@pytest.mark.parametrize("value", [True, False, "1500", [], {}, [[[]]], None])
def test_numbers_are_strict(payment: Validator, value: Any) -> None:
    expected = "null_not_allowed" if value is None else "wrong_type"
    assert problems(payment, {**SEED, "amount": value}) == {("/amount", expected)}


@pytest.mark.parametrize(
    "text", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400, "9" * 5000, "-" + "9" * 5000]
)
def test_what_is_not_finite_is_refused_by_name(payment: Validator, text: str) -> None:
    body = json.dumps(SEED).replace("1500.0", text).encode()
    assert problems(payment, body) == {("/amount", "not_finite")}


def test_integers_take_whole_floats_and_nothing_between() -> None:
    validator = compiled('type = "integer"', "min = 0", "max = 23")
    assert value_of(validator, 3.0) == 3
    assert type(value_of(validator, 3.0)) is int
    assert code_of(validator, 3.5) == "wrong_type"
    assert code_of(validator, 24) == "out_of_bounds"
    assert code_of(compiled('type = "integer"'), 2**63) == "out_of_bounds"


def test_ids_are_texts_or_whole_numbers_and_become_texts(card: Validator) -> None:
    validator = compiled('type = "id"')
    assert [value_of(validator, value) for value in (596, "596", 596.0)] == ["596"] * 3
    assert code_of(validator, 5.5) == "wrong_type"
    assert code_of(validator, True) == "wrong_type"
    assert code_of(validator, 2**63) == "out_of_bounds"
    row = {"TX_DATETIME": "2018-04-01T00:00:31", "CUSTOMER_ID": 596, "TERMINAL_ID": 3156, "TX_AMOUNT": 57.16}
    assert card.validate({**row, "TRANSACTION_ID": 0}).transaction_id == "0"


@pytest.mark.parametrize("kind", ["id", "category"])
@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "empty"), ("a\0b", "bad_characters"), ("\n", "bad_characters"), ("\ud800", "bad_characters"),
        ("x" * 200, "too_long"),
    ],
)  # fmt: skip
def test_texts_are_clean_and_bounded(kind: str, value: str, code: str) -> None:
    assert code_of(compiled(f'type = "{kind}"'), value) == code


def test_texts_of_other_scripts_are_welcome() -> None:
    assert value_of(compiled('type = "category"'), "Ünïcode – ≠ 日本 👍") == "Ünïcode – ≠ 日本 👍"


def test_strings_may_be_empty_and_have_line_breaks_but_no_nul() -> None:
    validator = compiled('type = "string"')
    assert value_of(validator, "") == ""
    assert value_of(validator, "a\nb") == "a\nb"
    assert code_of(validator, "\0") == "bad_characters"
    assert code_of(validator, "\udfff") == "bad_characters"


def test_booleans_are_true_or_false_only() -> None:
    validator = compiled('type = "boolean"')
    assert value_of(validator, True) is True
    assert [code_of(validator, value) for value in (1, 0, "true")] == ["wrong_type"] * 3


def test_null_is_for_fields_that_may_be_missing() -> None:
    assert value_of(compiled('type = "number"', "missing = true"), None) is None
    assert code_of(compiled('type = "number"'), None) == "null_not_allowed"


def test_a_field_may_be_nullable_and_yet_required() -> None:
    validator = compiled('type = "number"', "missing = true", "required = true")
    assert value_of(validator, None) is None
    assert problems(validator, {}) == {("/f", "missing")}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("1970-01-01t00:00:00z", 0.0),
        ("1970-01-01T01:00:00.25+01:00", 0.25),
        ("1969-12-31T23:00:00-01:00", 0.0),
        ("2026-03-01 09:30:00Z", 1772357400.0),
        ("9999-12-31T23:59:59Z", 253402300799.0),
    ],
)
def test_timestamps_are_rfc3339(text: str, seconds: float) -> None:
    assert value_of(compiled('type = "timestamp"'), text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "", "2026-03-01", "2026-03-01T09:30:00", "20260301T093000Z", "2026-W09-7T09:30:00Z", "2026-02-30T00:00:00Z",
        "2026-03-01T24:00:00Z", "2026-03-01T23:59:60Z", "2026-03-01T09:30:00+0100", "2026-03-01T09:30:00+01:00:30",
        "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "10000-01-01T00:00:00Z", "1772357400",
        "2026-03-01T09:30:00Z\n", "2026-03-01T09:30:00.Z", "２０２６-03-01T09:30:00Z", "x" * 10_000,
    ],
)  # fmt: skip
def test_other_timestamps_are_refused(text: str) -> None:
    assert code_of(compiled('type = "timestamp"'), text) == "invalid_timestamp"


def test_a_naive_timestamp_is_told_to_add_its_offset() -> None:
    with pytest.raises(InvalidTransaction) as caught:
        compiled('type = "timestamp"').validate({"f": "2026-03-01T09:30:00"})
    assert "offset" in caught.value.errors[0].message


def test_a_schema_may_take_naive_times_as_utc() -> None:
    validator = compiled('type = "timestamp"', 'naive = "utc"')
    assert value_of(validator, "1970-01-02") == 86_400
    assert value_of(validator, "1970-01-01 00:01") == 60
    assert value_of(validator, "1970-01-01T01:00:00+01:00") == 0
    assert code_of(validator, "01.01.1970") == "invalid_timestamp"


def test_unix_times_are_numbers_in_their_unit() -> None:
    validator = compiled('type = "timestamp"', 'format = "unix"', 'unit = "hours"')
    assert value_of(validator, 2) == 7200
    assert code_of(validator, "2") == "wrong_type"
    assert code_of(validator, True) == "wrong_type"
    assert {code_of(validator, value) for value in (1e300, 10**400, -1e12)} == {"invalid_timestamp"}


def test_times_may_have_a_pattern_of_their_own() -> None:
    validator = compiled('type = "timestamp"', 'format = "%d/%m/%Y %H:%M"')
    assert value_of(validator, "02/01/1970 00:00") == 86_400
    assert code_of(validator, "1970-01-02") == "invalid_timestamp"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "is empty"),
        (b" \n\t", "is empty"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"amount": "\xff"}', "not UTF-8"),
        (b'{"amount": "\xed\xa0\x80"}', "not UTF-8"),
        (b"{amount: 1}", "not JSON"),
        (b"hello", "not JSON"),
        (b'{"amount": }', "not JSON"),
        (b'{"amount": 1', "not JSON"),
        (b"{} {}", "goes on after"),
        (b"[1, 2]", "not a list"),
        (b'"text"', "not a text"),
        (b"3", "not a number"),
        (b"null", "not null"),
        (b"true", "not true or false"),
        (b'{"a": 1}'.replace(b"1", b"9" * 5000) + b"x", "goes on after"),
        (b'{"a": ' + b"9" * 5000, "not JSON"),
        (b"[" * 100_000, "lists or objects"),
        (b'{"a":' * 100_000, "lists or objects"),
        (b"[" * 100_000 + b"]" * 100_000, "lists or objects"),
        (b'{"a": "\\"' + b"[" * 1000, "not JSON"),
    ],
)
def test_bodies_that_cannot_be_read_say_why(payment: Validator, body: bytes, reason: str) -> None:
    with pytest.raises(MalformedBody, match=reason):
        payment.parse(body)


def test_a_hundred_deep_value_is_named_by_its_field(payment: Validator) -> None:
    deep = json.dumps(SEED).replace("1500.0", "[" * 100 + "]" * 100).encode()
    assert problems(payment, deep) == {("/amount", "wrong_type")}


def test_brackets_inside_of_texts_do_not_count_as_depth(payment: Validator) -> None:
    body = b" " + json.dumps({**SEED, "account_id": '{[\\"' * 20}).encode() + b"\r\n"
    assert payment.parse(body).values[7] == '{[\\"' * 20
    long = compiled('type = "string"', "max_length = 5000")
    assert value_of(long, "[" * 5000) == "[" * 5000


def test_a_key_sent_twice_is_refused(payment: Validator) -> None:
    body = b'{"amount": 1, "amount": 1, "x": 1, "x": 2,' + json.dumps(SEED).encode()[18:]
    assert problems(payment, body) == {("/amount", "duplicate_key"), ("/x", "duplicate_key"), ("/x", "unknown_field")}


def test_unknown_fields_may_be_ignored_by_policy() -> None:
    validator = compiled('type = "number"', top='unknown_fields = "ignore"')
    assert validator.parse(b'{"zzz": {"a": [1]}, "f": 2, "yyy": null}').values == [None, 2.0]
    assert problems(validator, {"zzz": 1, "f": "2"}) == {("/f", "wrong_type")}


def test_thousands_of_unknown_fields_are_counted_not_listed(payment: Validator) -> None:
    with pytest.raises(InvalidTransaction) as caught:
        payment.validate({**SEED, **{f"\ud800/~{i}": 1 for i in range(5000)}})
    assert len(caught.value.errors) == 101
    assert caught.value.errors[0].pointer == "/?~1~00"
    assert caught.value.errors[-1].message == "4900 more fields are not in this schema"


def test_the_digest_is_that_of_the_content(payment: Validator) -> None:
    first = payment.parse(json.dumps(SEED).encode())
    turned = payment.parse(json.dumps(dict(reversed(SEED.items())) | {"transaction_id": "t"}).encode())
    rewritten = payment.parse(json.dumps(SEED).replace("1500.0", "15e2").replace('"hour": 3', '"hour": 3.0').encode())
    assert first.digest == turned.digest == rewritten.digest
    assert turned.transaction_id == "t"
    assert len(first.digest) == 16
    assert first.digest != payment.validate({**SEED, "amount": 1500.01}).digest
    assert first.digest != payment.validate({**SEED, "account_id": "a"}).digest


def test_minus_zero_is_zero(payment: Validator) -> None:
    digest = payment.validate({**SEED, "amount": -0.0}).digest
    assert digest == payment.validate({**SEED, "amount": 0}).digest


def test_a_null_and_a_field_not_sent_have_the_same_digest() -> None:
    validator = compiled('type = "number"', "missing = true")
    assert validator.parse(b'{"f": null}').digest == validator.parse(b"{}").digest


def test_names_that_are_no_identifiers_work_throughout() -> None:
    validator = compile_validator(parse_schema('name = "x"\n[fields."a/b~c d.€"]\ntype = "number"\n'))
    assert validator.validate({"a/b~c d.€": 1}).values == [1.0]
    assert problems(validator, {}) == {("/a~1b~0c d.€", "missing")}


def test_no_science_is_imported() -> None:
    code = "import sys, config.schema.validate; print({'numpy', 'pandas', 'jsonschema'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# --- rows of data ---


def cells(validator: Validator, row: Mapping[str, Any]) -> list[Any]:
    """One value per field, without bounds, as training data is read."""
    return [compile_conversion(field)(row.get(field.name)) for field in validator.schema.fields]


def test_rows_of_text_become_values(payment: Validator) -> None:
    row = {"amount": " 12.50", "hour": "3.0", "merchant_category": "NA", "timestamp": "2018-04-01 00:00:31", "x": "y"}
    values = cells(payment, row)
    assert values[:4] == [12.5, 3, None, "NA"]
    assert values[9] == 1522540831.0
    assert values[4:9] == [None] * 5


@pytest.mark.parametrize("missing", [None, "", "  ", "nan", "NULL", math.nan])
def test_missing_cells_are_none(payment: Validator, missing: Any) -> None:
    assert cells(payment, {"amount": missing})[0] is None


def test_scalars_of_other_libraries_are_read_as_what_they_are(payment: Validator, card: Validator) -> None:
    np, pd = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    times = [
        pd.Timestamp("2018-04-01T00:00:31"), np.datetime64("2018-04-01T00:00:31", "ns"), datetime(2018, 4, 1, 0, 0, 31),  # noqa: DTZ001
        datetime(2018, 4, 1, 0, 0, 31, tzinfo=UTC), "2018-04-01 00:00:31 UTC",
    ]  # fmt: skip
    assert {cells(card, {"TX_DATETIME": time})[1] for time in times} == {1522540831.0}
    assert cells(card, {"TX_DATETIME": date(2018, 4, 1)})[1] == 1522540800.0
    numbers = [np.float32(0.5), np.float64(0.5), Decimal("0.5")]
    assert {cells(payment, {"amount": number})[0] for number in numbers} == {0.5}
    assert cells(card, {"CUSTOMER_ID": np.int32(596), "TERMINAL_ID": 3156.0})[2:4] == ["596", "3156"]
    missing = [pd.NA, pd.NaT, np.float64("nan"), np.datetime64("NaT")]
    assert {cells(card, {"TX_DATETIME": cell})[1] for cell in missing} == {None}


def test_cells_that_cannot_be_read_are_all_named(payment: Validator) -> None:
    with pytest.raises(InvalidTransaction) as caught:
        payment.from_row({"amount": "12,50", "hour": "noon", "timestamp": "yesterday", "time_since_last": "inf"})
    assert {error.pointer for error in caught.value.errors} == {"/amount", "/hour", "/timestamp", "/time_since_last"}


def test_truth_has_many_spellings_in_data() -> None:
    validator = compiled('type = "boolean"')
    assert [cells(validator, {"f": cell})[1] for cell in (1, "1", 1.0, "True", "yes", True)] == [True] * 6
    assert [cells(validator, {"f": cell})[1] for cell in (0, "0", 0.0, "FALSE", "n", False)] == [False] * 6
    with pytest.raises(Refused):
        cells(validator, {"f": "perhaps"})


def test_a_csv_row_makes_the_same_transaction_as_its_json(payment: Validator, card: Validator) -> None:
    texts = {name: str(value) for name, value in SEED.items()} | {"account_id": "", "is_fraud": "0"}
    assert payment.from_row(texts) == payment.validate(SEED)
    row = {"TX_DATETIME": "2018-04-01 00:00:31", "CUSTOMER_ID": "596", "TERMINAL_ID": "3156", "TX_AMOUNT": "57.16"}
    sent = {**row, "CUSTOMER_ID": 596, "TERMINAL_ID": 3156, "TX_AMOUNT": 57.16}
    assert card.from_row(row) == card.validate(sent)


def test_a_csv_row_is_bounded_and_complete(payment: Validator) -> None:
    row = {"amount": "-1", "hour": "3", "day_of_week": "", "merchant_category": "x" * 65, "account_id": "a"}
    with pytest.raises(InvalidTransaction) as caught:
        payment.from_row(row)
    assert {(e.pointer, e.code) for e in caught.value.errors} == {
        ("/amount", "out_of_bounds"),
        ("/merchant_category", "too_long"),
    }
    with pytest.raises(InvalidTransaction) as caught:
        payment.from_row({**row, "amount": "1", "merchant_category": "x"})
    assert {(e.pointer, e.code) for e in caught.value.errors} == {("/day_of_week", "missing")}
