"""Which decision a label is about, as ids."""

from __future__ import annotations

import msgspec

Target = tuple[str, str]
"""(decision_id, transaction_id)."""


class _Ids(msgspec.Struct):
    decision_id: str
    transaction_id: str


_ids = msgspec.json.Decoder(_Ids)


def ids_of(decision: bytes) -> Target | None:
    """Of a decision as JSON; None where there is none, or only the ledger has it."""
    if not decision:
        return None
    ids = _ids.decode(decision)
    return ids.decision_id, ids.transaction_id
