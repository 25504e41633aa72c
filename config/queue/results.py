"""How long a decision stays in Redis, and what is left of it once the ledger has it.

`names.result_key` holds 16 characters of digest, then the decision. While it is there, the same transaction_id is
answered with the first decision. A client's id is remembered for `dedupe_ttl_s`, most of that time as the bare digest;
an id that Tollgate made up cannot be sent again, so its decision only waits for whoever polls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import redis

from config import names
from config.queue.server_scripts import register

if TYPE_CHECKING:
    from config.settings import Settings

DIGEST_LENGTH = 16


def result_lifetime_s(settings: Settings, *, is_own_id: bool) -> int:
    """Seconds that a new decision is remembered in Redis. `is_own_id`: Tollgate made the id up."""
    return settings.result_ttl_s if is_own_id else max(settings.result_ttl_s, settings.dedupe_ttl_s)


def shrink_results(client: redis.Redis, transaction_ids: Sequence[str], digests: Sequence[str]) -> int:
    """Keep of these decisions their digests alone; returns how many were shrunk. Safe to repeat.

    Only for decisions that the ledger has committed, `digests` as it holds them: from then on they are read there.
    Raises RedisError.
    """
    if not transaction_ids:
        return 0
    keys = [names.result_key(transaction_id) for transaction_id in transaction_ids]
    return int(register(client, "shrink")(keys=keys, args=list(digests)))
