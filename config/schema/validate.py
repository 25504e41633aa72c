"""The compiled schema: body bytes -> one value per field, or every mistake by field, for each request.

`web.views` calls `parse`; bulk files call `from_row`. No science is imported here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from config.card_numbers import CardGuard, CardPolicy
from config.errors import FieldError, InvalidTransaction
from config.schema.body import read_pairs
from config.schema.checks import Check, Refused, compile_check
from config.schema.convert import compile_conversion
from config.schema.forms import alternatives
from config.schema.model import Schema
from config.schema.problems import did_you_mean, pointer

MAX_NAMED = 100
"""Unknown or repeated fields that one answer names; a hostile body may hold thousands."""

_NUMERIC = ("number", "integer", "timestamp")

_encode = msgspec.json.Encoder().encode


class Transaction(msgspec.Struct, frozen=True):
    """What a client sent, checked.

    `values`: one per schema field in file order, None where nothing was sent; timestamps are Unix seconds.
    `digest`: 16 hex characters over the content without the transaction id; the order of keys and 1500 for
    1500.0 do not change it.
    """

    transaction_id: str | None
    values: list[Any]
    digest: str


class Validator:
    """Checks transactions against one schema. Immutable, safe to share between threads."""

    def __init__(self, schema: Schema, cards: CardPolicy = "refuse") -> None:
        self.schema = schema
        self.cards = CardGuard(cards, [field.name for field in schema.fields if field.type in _NUMERIC])
        self._names = tuple(field.name for field in schema.fields)
        self._slots = _slots(schema)
        self._always = frozenset(field.name for field in schema.fields if field.required and not field.derived)
        self._either = [(self._names.index(one.source), frozenset(one.fields), one) for one in alternatives(schema)]
        self._conversions = [(field.name, compile_conversion(field)) for field in schema.fields]
        id_field = schema.roles.transaction_id
        self._id_index = self._names.index(id_field) if id_field else None

    def parse(self, body: bytes) -> Transaction:
        """The transaction in a request body.

        Raises:
            MalformedBody: the body cannot be read as one JSON object.
            CardNumberRefused: it holds card numbers; `errors` names the fields.
            InvalidTransaction: it can; `errors` names everything that is wrong with it.
        """
        pairs: list[tuple[str, Any]] = read_pairs(body)
        if self.cards.suspects(body):
            pairs = self.cards.admit(pairs)
        data = dict(pairs)
        if len(data) != len(pairs):
            raise self._refusal(data, keys=[name for name, _ in pairs])
        return self.validate(data)

    def validate(self, data: Mapping[str, object]) -> Transaction:
        """The transaction in an already parsed JSON object. Raises InvalidTransaction, as `parse`."""
        values: list[Any] = [None] * (len(self._names) + 1)  # the last slot takes ignored fields
        slots = self._slots
        try:
            for name, value in data.items():
                index, check = slots[name]
                values[index] = check(value)
        except (KeyError, Refused):
            raise self._refusal(data) from None
        values.pop()
        sent = data.keys()
        if not self._always <= sent or not all(
            values[source] is not None or fields <= sent for source, fields, _ in self._either
        ):
            raise self._refusal(data)
        return self._transaction(values)

    def from_row(self, row: Mapping[str, Any]) -> Transaction:
        """The transaction in a row of a CSV file: bounded and complete as a request.

        Texts become numbers, naive times are UTC, an empty cell counts as not sent, other columns are ignored.

        Raises:
            InvalidTransaction, CardNumberRefused: as `parse`.
        """
        row = self.cards.admit_cells(row)
        values = self._read_row(row)
        sent = {
            field.name
            for field, value in zip(self.schema.fields, values, strict=True)
            if value is not None or (field.nullable and field.name in row)
        }
        present = {name for name, value in zip(self._names, values, strict=True) if value is not None}
        if errors := self._missing(sent, present):
            raise _invalid(errors)
        return self._transaction(values)

    def _read_row(self, row: Mapping[str, Any]) -> list[Any]:
        values: list[Any] = []
        errors: list[FieldError] = []
        for name, convert in self._conversions:
            try:
                value = convert(row.get(name))
                values.append(None if value is None else self._check_cell(name, value))
            except Refused as refused:
                errors.append(FieldError(pointer(name), refused.code, refused.message))
        if errors:
            raise _invalid(errors)
        return values

    def _check_cell(self, name: str, value: Any) -> Any:
        if self.schema.by_name[name].type == "timestamp":
            return value
        return self._slots[name][1](value)

    def _transaction(self, values: list[Any]) -> Transaction:
        content = [pair for pair in zip(self._names, values, strict=True) if pair[1] is not None]
        transaction_id = None
        if self._id_index is not None and (transaction_id := values[self._id_index]) is not None:
            content.remove((self._names[self._id_index], transaction_id))
        return Transaction(transaction_id, values, blake2b(_encode(content), digest_size=8).hexdigest())

    def _refusal(self, data: Mapping[str, object], keys: Iterable[str] = ()) -> InvalidTransaction:
        """Everything that is wrong with `data`. `keys`: as sent, when some came twice."""
        errors = [
            FieldError(pointer(name[:256]), "duplicate_key", "was sent more than once")
            for name, count in Counter(keys).items()
            if count > 1
        ][:MAX_NAMED]
        for name, value in data.items():
            if name in self._slots:
                errors += self._wrong(name, value)
        errors += self._missing(data.keys(), {name for name, value in data.items() if value is not None})
        return _invalid(errors + self._unknown(data))

    def _wrong(self, name: str, value: object) -> list[FieldError]:
        try:
            self._slots[name][1](value)
        except Refused as refused:
            return [FieldError(pointer(name), refused.code, refused.message)]
        return []

    def _unknown(self, data: Mapping[str, object]) -> list[FieldError]:
        if self.schema.unknown_fields == "ignore":
            return []
        unknown = [str(name) for name in data if name not in self._slots]
        errors = [
            FieldError(pointer(name[:256]), "unknown_field", f"is not a field of this schema{self._near(name)}")
            for name in unknown[:MAX_NAMED]
        ]
        if len(unknown) > MAX_NAMED:
            rest = f"{len(unknown) - MAX_NAMED} more fields are not in this schema"
            errors.append(FieldError("", "unknown_field", rest))
        return errors

    def _near(self, name: str) -> str:
        return did_you_mean(name, self._names)

    def _missing(self, sent: Collection[str], present: Collection[str]) -> list[FieldError]:
        """What is missing. `sent`: the keys that are there; `present`: those that are not null."""
        errors = [
            FieldError(pointer(name), "missing", "is required")
            for name in self._names
            if name in self._always and name not in sent
        ]
        for _, _, one in self._either:
            if one.source not in present:
                message = f'is required, unless "{one.source}" is sent to derive it from'
                errors += [FieldError(pointer(f), "missing", message) for f in one.fields if f not in sent]
        return errors


def compile_validator(schema: Schema, cards: CardPolicy = "refuse") -> Validator:
    """The validator of a schema. Compile once per process. `cards`: what becomes of card numbers."""
    return Validator(schema, cards)


class _Slots(dict[str, tuple[int, Check]]):
    """Field name -> (position in `values`, check)."""


class _OpenSlots(_Slots):
    """The same for schemas that ignore unknown fields: those land past the last value and are dropped."""

    def __missing__(self, name: str) -> tuple[int, Check]:
        return -1, _accept


def _accept(value: object) -> object:
    return value


def _slots(schema: Schema) -> _Slots:
    kind = _OpenSlots if schema.unknown_fields == "ignore" else _Slots
    return kind({field.name: (index, compile_check(field)) for index, field in enumerate(schema.fields)})


def _invalid(errors: list[FieldError]) -> InvalidTransaction:
    count = "1 field is" if len(errors) == 1 else f"{len(errors)} fields are"
    return InvalidTransaction(f"{count} not as the schema says.", errors=tuple(errors))
