"""What the commands about models share: a desk on the broker and the ledger of the settings, and who asks."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager

from config.contracts import ChampionPointer
from config.errors import BrokerUnavailable
from config.queue.connections import make_redis
from config.schema.load import load_schema
from config.settings import Settings
from ml.ledger import Ledger
from ml.promotion.challengers import ChallengerDesk
from ml.promotion.desk import Desk
from ml.registry import is_for_schema, stored_champion

TIMEOUT_S = 5.0


@contextmanager
def open_desk(settings: Settings) -> Iterator[Desk]:
    """A desk for as long as the command runs; the ledger has its newest tables.

    Raises:
        SchemaInvalid, LedgerUnavailable.
    """
    schema = load_schema(settings.schema_file)
    ledger = Ledger(settings.database_url, schema=schema)
    try:
        ledger.migrate()
        yield Desk(settings, make_redis(settings, timeout_s=TIMEOUT_S), ledger, schema)
    finally:
        ledger.close()


@contextmanager
def open_challenger_desk(settings: Settings) -> Iterator[ChallengerDesk]:
    """The same for what is compared with the champion. Raises as `open_desk`."""
    with open_desk(settings) as desk:
        yield ChallengerDesk(desk)


def operator() -> str:
    """Who asks, for the audit trail."""
    try:
        return f"operator:{getpass.getuser()}"
    except (KeyError, OSError):
        # A container's user may have no name.
        return "operator"


def known_champion(desk: Desk) -> ChampionPointer | None:
    """The champion of the desk's schema; while the broker is away, the one that the bundle store remembers."""
    try:
        return desk.champion()
    except BrokerUnavailable:
        pointer = stored_champion(desk.settings.model_dir)
        is_ours = pointer is not None and is_for_schema(pointer, desk.settings.model_dir, desk.schema.digest)
        return pointer if is_ours else None
