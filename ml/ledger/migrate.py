"""Brings the ledger's tables to the newest version. Safe to call from several processes at once."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, text

from ml.ledger.engine import WRITE, however_long, ledger_errors

MIGRATIONS = Path(__file__).parent / "migrations"
_POSTGRES_LOCK = 0x746F6C6C_67617465  # "tollgate": the advisory lock that migrations take
_LOCK_TIMEOUT_S = 60


def migrate(engine: Engine) -> None:
    """Upgrade to the newest revision in one transaction under a lock; does nothing when it is there already.

    Tables of a later release are left as they are: migrations only add, or replace an index, so an upgrade can be taken
    back.

    Raises:
        LedgerUnavailable: the database cannot be reached, or another process holds the lock for too long.
    """
    with ledger_errors(engine):
        if engine.dialect.name == "sqlite":
            _prepare_sqlite_file(engine)
        with engine.execution_options(**WRITE).begin() as connection, however_long(connection):
            _lock(connection)
            _upgrade(connection)


def _prepare_sqlite_file(engine: Engine) -> None:
    """Make the directory; switch the file to its write-ahead log, which stays and needs no transaction."""
    Path(str(engine.url.database)).parent.mkdir(parents=True, exist_ok=True)
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def _lock(connection: Connection) -> None:
    """PostgreSQL: an advisory lock until the commit. SQLite: BEGIN IMMEDIATE has locked the file already."""
    if connection.dialect.name != "postgresql":
        return
    connection.execute(text(f"SET LOCAL statement_timeout = '{_LOCK_TIMEOUT_S}s'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRES_LOCK})
    connection.execute(text("SET LOCAL statement_timeout = 0"))


def _upgrade(connection: Connection) -> None:
    # Here, not at the top: only a process that migrates pays for Alembic (20 MB, 0.2 s).
    from alembic import command
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    there = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if there is None or there in known:
        command.upgrade(config, "head")
