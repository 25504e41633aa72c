"""What column names of payment data usually mean."""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+")

LABELS = (
    "isfraud", "fraud", "txfraud", "fraudbool", "fraudlabel", "fraudflag", "fraudreported", "fraudind", "isfraudulent",
    "fraudulent", "class", "label", "target", "ischargeback", "chargeback", "isbad", "bad", "outcome", "y",
)  # fmt: skip
AMOUNTS = (
    "amount", "amt", "txamount", "transactionamount", "transactionamt", "transamount", "txnamount", "paymentamount",
    "purchaseamount", "purchasevalue", "orderamount", "value", "price", "total",
)  # fmt: skip
TRANSACTIONS = frozenset({"transaction", "trans", "tx", "txn", "payment", "order", "event", "trade", "transfer"})
IDENTIFIES = frozenset({"id", "no", "num", "number", "nr", "key", "uuid", "guid", "ref", "reference", "hash"})
_MAY_FOLLOW_ENTITY = IDENTIFIES | {"code", "token", "uid", "name", "address", "addr"}
ENTITIES = {
    "customer": "customer", "cust": "customer", "client": "customer", "user": "user", "member": "customer",
    "account": "account", "acct": "account", "acc": "account", "card": "card", "cc": "card", "pan": "card",
    "merchant": "merchant", "merch": "merchant", "terminal": "terminal", "pos": "terminal", "device": "device",
    "payee": "payee", "beneficiary": "payee", "payer": "payer", "sender": "sender", "receiver": "receiver",
    "recipient": "receiver", "seller": "seller", "buyer": "buyer", "email": "email", "ip": "ip", "phone": "phone",
    "orig": "origin", "dest": "destination",
}  # fmt: skip
TIMES = frozenset({
    "datetime", "timestamp", "time", "date", "dt", "ts", "created", "event", "step", "epoch", "unix",
    "when", "moment", "occurred", "booked", "booking",
})  # fmt: skip
COUNTERS = frozenset({"time", "step", "timestamp", "ts", "transactiondt", "unixtime", "epoch"})
OTHER_TIMES = frozenset({
    "dob", "birth", "birthday", "birthdate", "expiry", "expires", "expiration", "opened", "open", "issued", "signup",
    "registered", "registration", "joined", "first", "last", "label", "labelled", "reported", "chargeback", "updated",
})  # fmt: skip
TIMES_AFTER = frozenset({
    "labelled", "labeled", "reported", "updated", "modified", "closed", "resolved", "settled", "reviewed", "refunded",
    "ingested", "loaded", "exported",
})  # fmt: skip
"""Words of times that lie after the payment."""
TIMES_AHEAD = frozenset({"expiry", "expires", "expiration", "exp", "due", "valid", "until", "departure", "delivery"})
"""Words of times that may lie ahead and are known all the same."""
TELLS_LABEL = frozenset({
    "fraud", "scenario", "label", "flagged", "chargeback", "dispute", "disputed", "investigation", "target",
})  # fmt: skip


def words(name: str) -> list[str]:
    """The lower-case words of a name: `nameOrig`, `TX_TIME`, `Card No.` -> name orig, tx time, card no."""
    return [word.lower() for word in _WORD.findall(name)]


def folded(name: str) -> str:
    """The letters and digits of a name, lower case: `Is_Fraud` -> isfraud."""
    return "".join(character for character in name.casefold() if character.isalnum())


def entity_named(name: str) -> str | None:
    """The entity that a column of this name identifies: `cc_num` -> card, `CUSTOMER_ID` -> customer.

    Names that end in `id` and say of what count as well: `product_id` -> product.
    """
    parts = [word for word in words(name) if word not in TRANSACTIONS]
    known = [part for part in parts if part in ENTITIES]
    if known and all(part in ENTITIES or part in _MAY_FOLLOW_ENTITY for part in parts):
        return ENTITIES[known[0]]
    if len(parts) > 1 and parts[-1] == "id" and parts[0].isascii() and parts[0].isalpha():
        return parts[0]
    return None


def names_transaction(name: str) -> bool:
    """Whether a column of this name is the id of the transaction."""
    parts = words(name)
    if folded(name) in ("id", "uuid", "guid", "tid"):
        return True
    has_id = any(part in IDENTIFIES for part in parts) or folded(name).endswith("id")
    return has_id and all(part in TRANSACTIONS | IDENTIFIES or part.endswith("id") for part in parts)
