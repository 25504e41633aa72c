"""Card numbers: every network's are found however they are written; what merely looks like one is let in."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.card_numbers import MASK, CardGuard, find_cards, is_card_number, truncated
from config.errors import CardNumberRefused, InvalidTransaction
from config.schema.load import load_schema
from config.schema.validate import compile_validator
from config.setting_groups.places import DEFAULT_SCHEMA
from tests.web_app import PAYMENT

VISA = "4111111111111111"
# The networks' published test numbers, and lengths that they issue besides.
CARDS = (
    VISA, "4222222222222", "4000000000000000006", "5555555555554444", "2223003122003222", "378282246310005",
    "6011111111111117", "3530111333300000", "30569309025904", "36227206271667", "6200000000000005", "6759649826438453",
)  # fmt: skip
PREFIXES = [("4", n) for n in (13, 16, 19)] + [
    ("51", 16), ("55", 16), ("2221", 16), ("2720", 16), ("34", 15), ("37", 15), ("6011", 16), ("644", 19), ("65", 16),
    ("3528", 16), ("3589", 19), ("300", 14), ("36", 14), ("38", 16), ("62", 16), ("62", 19), ("5018", 12), ("6763", 19),
]  # fmt: skip
SCHEMA = load_schema(DEFAULT_SCHEMA)


def with_check_digit(digits: str) -> str:
    """The digits and the one that makes them fulfil Luhn."""
    total = sum(sum(divmod(2 * int(d), 10)) if i % 2 == 0 else int(d) for i, d in enumerate(reversed(digits)))
    return digits + str(-total % 10)


@st.composite
def cards(draw: st.DrawFn) -> str:
    prefix, length = draw(st.sampled_from(PREFIXES))
    rest = draw(st.text("0123456789", min_size=length - len(prefix) - 1, max_size=length - len(prefix) - 1))
    return with_check_digit(prefix + rest)


@given(
    cards(), st.sampled_from(["", "pan=", "no. ", "(", "card-", "2026-03-01 "]), st.sampled_from(["", ".", " 12/26"])
)
def test_a_card_number_is_found_in_any_text(card: str, before: str, after: str) -> None:
    assert [found.digits for found in find_cards(before + card + after)] == [card]


@given(cards(), st.data())
def test_spaces_and_dashes_hide_no_card_number(card: str, data: st.DataObject) -> None:
    gaps = data.draw(st.lists(st.sampled_from(["", " ", "-"]), min_size=len(card), max_size=len(card)))
    written = "".join(digit + gap for digit, gap in zip(card, gaps, strict=True))

    assert [found.digits for found in find_cards(written.rstrip("-"))] == [card]


@pytest.mark.parametrize("card", CARDS)
def test_the_networks_own_test_numbers_are_refused_in_every_form(card: str) -> None:
    assert is_card_number(card)
    groups = [card[:4], card[4:10], card[10:]] if len(card) in (14, 15) else [card[i : i + 4] for i in range(0, 19, 4)]
    for separator in (" ", "-"):
        assert find_cards(f"paid by {separator.join(filter(None, groups))}, thanks")


@given(st.integers(0, 10**19 - 1).map(str))
def test_digits_without_a_network_are_no_card_number_even_if_they_fulfil_luhn(digits: str) -> None:
    known = any(digits.startswith(prefix) for prefix in ("2", "3", "4", "5", "6", "81"))

    assert known or not find_cards(with_check_digit(digits))


@given(st.uuids(), st.binary(min_size=32, max_size=32))
def test_uuids_and_digests_are_let_in(name: uuid.UUID, digest: bytes) -> None:
    assert not find_cards(f"{name} {digest.hex()}")


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # the check digit is wrong
        "1764115200000", "2026-03-01T12:00:00.123456Z", "20260301120000123",  # times
        "411111111111111", "41111111111111111",  # no length of this network
        "a4111111111111111", "4111111111111111b", "0.4111111111111111", "4111111111111111.25",  # parts of something
        "41111111-1111-4111-8111-111111111111",  # a UUID of digits
        "+49 170 1234567", "411111******1111", "DE89 3704 0044 0532 0130 00",
    ],
)  # fmt: skip
def test_what_merely_looks_like_one_is_let_in(text: str) -> None:
    assert find_cards(text) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account_id", VISA),
        ("account_id", int(VISA)),
        ("account_id", float(VISA)),
        ("transaction_id", f"order {VISA}"),
        ("merchant_category", "4111-1111-1111-1111"),
        ("timestamp", VISA),
        ("amount", VISA),
        ("cvv_and_more", {"a": [1, {"pan": VISA}]}),
    ],
)
def test_a_card_number_in_any_field_is_refused_by_name_and_never_repeated(field: str, value: Any) -> None:
    with pytest.raises(CardNumberRefused) as refused:
        compile_validator(SCHEMA).parse(json.dumps(PAYMENT | {field: value}).encode())

    assert [(error.pointer, error.code) for error in refused.value.errors] == [(f"/{field}", "card_number")]
    assert "1111" not in f"{refused.value} {refused.value.errors}"


def test_a_name_that_is_a_card_number_is_not_repeated_either() -> None:
    with pytest.raises(CardNumberRefused) as refused:
        compile_validator(SCHEMA).parse(json.dumps(PAYMENT | {VISA: 1}).encode())

    assert [error.pointer for error in refused.value.errors] == [f"/{MASK}"]


@pytest.mark.parametrize("written", ["\\u0034111111111111111", "４１１１１１１１１１１１１１１１"])
def test_digits_in_disguise_are_seen(written: str) -> None:
    body = json.dumps(PAYMENT)[:-1] + f', "account_id": "{written}"}}'

    with pytest.raises(CardNumberRefused):
        compile_validator(SCHEMA).parse(body.encode())


def test_amounts_and_times_that_are_numbers_are_let_in() -> None:
    transaction = compile_validator(SCHEMA).parse(json.dumps(PAYMENT | {"amount": int(VISA)}).encode())

    assert transaction.values[0] == float(VISA)


def test_masking_keeps_the_ends_and_one_card_stays_one_account() -> None:
    validator = compile_validator(SCHEMA, "mask")
    index = [field.name for field in SCHEMA.fields].index("account_id")

    stored = [
        validator.parse(json.dumps(PAYMENT | {"account_id": sent}).encode()).values[index]
        for sent in (VISA, int(VISA), "4111 1111 1111 1111")
    ]

    assert stored == ["411111******1111"] * 3


def test_what_is_allowed_is_taken_as_it_is() -> None:
    body = json.dumps(PAYMENT | {"transaction_id": VISA}).encode()

    assert compile_validator(SCHEMA, "allow").parse(body).transaction_id == VISA


@given(cards())
def test_a_truncated_number_is_no_card_number_and_hides_what_is_in_between(card: str) -> None:
    kept = truncated(card)

    assert not find_cards(kept)
    assert sum(character.isdigit() for character in kept) <= 10


@given(st.dictionaries(st.text(max_size=8), st.text() | st.integers() | st.floats(allow_nan=False), max_size=6))
def test_the_quick_look_never_misses_what_the_close_look_finds(data: dict[str, Any]) -> None:
    guard = CardGuard("mask")

    assert guard.suspects(json.dumps(data).encode()) or guard.admit(data.items()) == list(data.items())


def test_a_cell_of_a_file_is_judged_by_its_field() -> None:
    validator = compile_validator(SCHEMA)
    row = {name: str(value) for name, value in PAYMENT.items()}

    assert validator.from_row(row | {"amount": VISA}).values[0] == float(VISA)
    for changed in ({"account_id": VISA}, {"account_id": MASK}, {"ignored": VISA}, {"amount": "4111 1111 1111 1111"}):
        with pytest.raises(InvalidTransaction, match="card number"):
            validator.from_row(row | changed)
