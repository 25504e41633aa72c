"""How long a decision stays in Redis, and what is left of it once the ledger has it.

`names.result_key` holds 16 characters of digest, then the decision; of a batch's row, a reference to where it stands
in the payload of its chunk (`@key first length`), which goes when the ledger has the chunk. While the result is there,
the same transaction_id is answered with the first decision. A client's id is remembered for `dedupe_ttl_s`, most of
that time as the bare digest; an id that Tollgate made up cannot be sent again, so its decision only waits for whoever
polls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import redis

from config import names
from config.queue.server_scripts import register

if TYPE_CHECKING:
    from config.settings import Settings

DIGEST_LENGTH = 16
ROWS_PER_CALL = 500
"""A script keeps the server to itself: this many rows take it about a millisecond."""


def result_lifetime_s(settings: Settings, *, is_own_id: bool) -> int:
    """Seconds that a new decision is remembered in Redis. `is_own_id`: Tollgate made the id up."""
    return settings.result_ttl_s if is_own_id else max(settings.result_ttl_s, settings.dedupe_ttl_s)


def decision_of(client: redis.Redis, stored: bytes) -> bytes:
    """The decision of a stored result, as JSON; empty where only the ledger has it. Raises RedisError."""
    return decisions_of(client, [stored])[0]


def decisions_of(client: redis.Redis, stored: Sequence[bytes]) -> list[bytes]:
    """`decision_of` each, in at most one round trip."""
    decisions = [result[DIGEST_LENGTH:] for result in stored]
    referring = [at for at, decision in enumerate(decisions) if decision.startswith(b"@")]
    if not referring:
        return decisions
    pipe = client.pipeline(transaction=False)
    for at in referring:
        key, first, length = decisions[at][1:].rsplit(b" ", 2)
        pipe.getrange(key, int(first), int(first) + int(length) - 1)
    found: list[Any] = pipe.execute()
    for at, decision in zip(referring, found, strict=True):
        decisions[at] = decision
    return decisions


def shrink_results(client: redis.Redis, transaction_ids: Sequence[str], digests: Sequence[str]) -> int:
    """Keep of these decisions their digests alone; returns how many were shrunk. Safe to repeat.

    Only for decisions that the ledger has committed, `digests` as it holds them: from then on they are read there.
    Raises RedisError.
    """
    script, shrunk = register(client, "shrink"), 0
    for start in range(0, len(transaction_ids), ROWS_PER_CALL):
        keys = [names.result_key(transaction_id) for transaction_id in transaction_ids[start : start + ROWS_PER_CALL]]
        shrunk += int(script(keys=keys, args=list(digests[start : start + ROWS_PER_CALL])))
    return shrunk
