"""The JSON form of feedback: an object that names a transaction and says what it really was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from config.card_numbers import CardGuard, CardPolicy
from config.contracts import LabelSource
from config.errors import FieldError, InvalidRequest, MalformedBody
from config.schema.body import read_pairs
from config.schema.checks import is_clean_text, is_storable_text
from web.identifiers import ID_MAX_LENGTH, new_id
from web.ports.labels import CLIENT_SOURCES, Label
from web.query import aware_time

DEFAULT_SOURCE: Final[LabelSource] = "api"
REASON_CODE_MAX_LENGTH: Final = 64
FIELDS: Final = (
    "transaction_id", "decision_id", "is_fraud", "source", "reason_code", "known_at", "amount", "label_id",
)  # fmt: skip
_AMOUNT_MAX: Final = 1e15
LATEST_KNOWN: Final = timedelta(days=1)
"""Clocks differ, and dates are written in any zone."""
_NO_TEXT: Final = ("bad_characters", "must not hold NUL or lone surrogates")


def label_guard(policy: CardPolicy = "refuse") -> CardGuard:
    """The guard that keeps card numbers out of labels."""
    return CardGuard(policy, ("amount",))


def parse_label(body: bytes, *, now: datetime, label_id: str | None = None, cards: CardGuard | None = None) -> Label:
    """Read `{decision_id | transaction_id, is_fraud, source, reason_code, known_at, amount, label_id}`.

    `source` defaults to api, `known_at` to `now`, `label_id` to the argument or a new one.

    Raises:
        MalformedBody: not one JSON object, or a key given twice.
        CardNumberRefused: a field holds a card number.
        InvalidRequest: with every field error.
    """
    data = dict((cards or label_guard()).admit(read_object(body).items()))
    return label_from(data, now=now, label_id=label_id)


def label_from(data: Mapping[str, Any], *, now: datetime, label_id: str | None = None) -> Label:
    """`parse_label` of what was parsed already. Raises InvalidRequest with every field error."""
    errors = [_error(name, "unknown_field", "unknown field") for name in data if name not in FIELDS]
    errors += [error for name in FIELDS if (error := _check(name, data.get(name), name in data))]
    if ("transaction_id" in data) == ("decision_id" in data):
        errors.append(_error("transaction_id", "required", "give either transaction_id or decision_id"))
    known_at = data.get("known_at")
    if not errors and known_at and aware_time(known_at, "known_at") > now + LATEST_KNOWN:
        errors.append(_error("known_at", "out_of_bounds", "must not lie in the future: the latest label counts"))
    if errors:
        hint = "to label a payment by its content, post the payment itself with ?actual_label=true or false"
        raise InvalidRequest(f"the label has {len(errors)} mistake(s); {hint}", errors=tuple(errors))
    return Label(
        label_id=data.get("label_id") or label_id or new_id(),
        is_fraud=data["is_fraud"],
        source=data.get("source") or DEFAULT_SOURCE,
        known_at=aware_time(known_at, "known_at") if known_at else now,
        transaction_id=data.get("transaction_id"),
        decision_id=data.get("decision_id"),
        reason_code=data.get("reason_code"),
        amount=data.get("amount"),
    )


def _check(name: str, value: Any, is_given: bool) -> FieldError | None:
    if not is_given:
        return _error(name, "required", "is required") if name == "is_fraud" else None
    problem = _CHECKS[name](value)
    return _error(name, *problem) if problem else None


def _id_problem(value: Any) -> tuple[str, str] | None:
    if not (isinstance(value, str) and 0 < len(value) <= ID_MAX_LENGTH):
        return "not_an_id", f"must be a string of 1 to {ID_MAX_LENGTH} characters"
    return None if is_clean_text(value) else ("bad_characters", "must not hold control characters or lone surrogates")


def _flag_problem(value: Any) -> tuple[str, str] | None:
    return None if isinstance(value, bool) else ("not_a_boolean", "must be true or false")


def _source_problem(value: Any) -> tuple[str, str] | None:
    return None if value in CLIENT_SOURCES else ("not_allowed", f"must be one of {', '.join(CLIENT_SOURCES)}")


def _reason_problem(value: Any) -> tuple[str, str] | None:
    if value is None:
        return None
    if not (isinstance(value, str) and len(value) <= REASON_CODE_MAX_LENGTH):
        return "too_long", f"must be a string of at most {REASON_CODE_MAX_LENGTH} characters"
    return None if is_storable_text(value) else _NO_TEXT


def _time_problem(value: Any) -> tuple[str, str] | None:
    message = "must be an RFC 3339 time with a zone"
    if not isinstance(value, str):
        return "not_a_time", message
    try:
        aware_time(value, "known_at")
    except InvalidRequest:
        return "not_a_time", message
    return None


def _amount_problem(value: Any) -> tuple[str, str] | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # NaN compares as false, and an integer of 400 digits is compared without becoming a float.
    if value is None or (is_number and 0 <= value <= _AMOUNT_MAX):
        return None
    return "out_of_bounds", "must be a number, at least 0"


_CHECKS: Final[dict[str, Callable[[Any], tuple[str, str] | None]]] = {
    "transaction_id": _id_problem,
    "decision_id": _id_problem,
    "label_id": _id_problem,
    "is_fraud": _flag_problem,
    "source": _source_problem,
    "reason_code": _reason_problem,
    "known_at": _time_problem,
    "amount": _amount_problem,
}


def _error(name: str, code: str, message: str) -> FieldError:
    pointer = name.replace("~", "~0").replace("/", "~1")
    return FieldError(f"/{pointer}", code, message)


def read_object(body: bytes) -> dict[str, Any]:
    """The one flat object in a body. Raises MalformedBody."""
    pairs = read_pairs(body)
    data = dict(pairs)
    if len(data) < len(pairs):
        raise MalformedBody("a key is given twice")
    return data
