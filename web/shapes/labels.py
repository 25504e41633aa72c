"""Answers to labels, sent one by one or as a file."""

from __future__ import annotations

from typing import Literal

import msgspec

from config.contracts import LabelSource


class LabelRecord(msgspec.Struct, frozen=True):
    """The label as it was kept.

    `matched`: it belongs to a decision; otherwise it was kept as a labelled transaction of its own. `status`:
    "stored" in the ledger, or "accepted" and durable on its way there.
    """

    status: Literal["stored", "accepted"]
    label_id: str
    matched: bool
    transaction_id: str | None
    decision_id: str | None
    is_fraud: bool
    source: LabelSource
    reason_code: str | None
    known_at: str
    amount: float | None


class LabelRowError(msgspec.Struct, frozen=True):
    """A row of a file of labels that was not kept, by its line, from 1. `errors`: `{pointer, code, message}` each."""

    line: int
    code: str
    detail: str
    errors: list[dict[str, str]]


class LabelFileReport(msgspec.Struct, frozen=True):
    """What became of a file of labels. `errors`: the first refused rows; `errors_omitted`: how many more there are.

    Accepted labels are durable on their way to the ledger, one that was accepted before included.
    """

    received: int
    accepted: int
    refused: int
    errors: list[LabelRowError]
    errors_omitted: int
