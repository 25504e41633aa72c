"""Opens the ledger's database so that a dead or frozen one is an error within seconds, never a hang.

SQLite: write-ahead log, `synchronous=FULL`. The journal is acknowledged after the ledger's commit, so a
commit must be on the disk when it returns: with NORMAL a power cut could lose commits whose journal entries
are gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from config.errors import LedgerUnavailable, SettingInvalid

CONNECT_TIMEOUT_S = 2
STATEMENT_TIMEOUT_S = 5
POOL_TIMEOUT_S = 2
BUSY_TIMEOUT_S = 5
WRITE = {"tollgate_write": True}
"""Execution options of a transaction that writes: SQLite then takes its write lock at BEGIN.

A transaction that begins by reading and then writes can fail at once, without waiting, when another process
wrote in between; taking the lock first makes it wait its turn.
"""
_SQLITE_PRAGMAS = (
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-64000",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA wal_autocheckpoint=4000",
)


def open_engine(database_url: str) -> Engine:
    """An engine that has not connected yet.

    Raises:
        SettingInvalid: the URL is not one of a database that the ledger runs on.
    """
    url = parse_url(database_url)
    engine = create_engine(
        url,
        json_serializer=_to_json,
        json_deserializer=msgspec.json.decode,
        pool_timeout=POOL_TIMEOUT_S,
        **(_sqlite_options(url) if url.get_backend_name() == "sqlite" else _postgres_options(url)),
    )
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "do_connect", partial(_connect_postgres, has_own_options="options" in url.query))
    return engine


def parse_url(database_url: str) -> URL:
    """The URL with its driver filled in: `postgres://` and `postgresql://` mean psycopg 3."""
    try:
        url = make_url(database_url)
    except ArgumentError as error:
        raise SettingInvalid("TOLLGATE_DATABASE_URL: not a database URL, as sqlite:///ledger.db is") from error
    if url.drivername in {"postgres", "postgresql"}:
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise SettingInvalid(
            f"TOLLGATE_DATABASE_URL: {url.drivername} is not supported; use sqlite:/// or postgresql://"
        )
    if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
        raise SettingInvalid("TOLLGATE_DATABASE_URL: the ledger needs a file; sqlite in memory would be lost")
    return url


@contextmanager
def ledger_errors(engine: Engine) -> Iterator[None]:
    """Turn "the database cannot be used now" into LedgerUnavailable; let mistakes in statements through."""
    where = engine.url.render_as_string(hide_password=True)
    try:
        yield
    except PoolTimeout as error:
        raise LedgerUnavailable(f"{where}: all connections are busy", retry_after_s=1) from error
    except (OperationalError, InterfaceError) as error:
        raise LedgerUnavailable(f"{where}: {_first_line(error)}", retry_after_s=1) from error
    except DBAPIError as error:
        if not (error.connection_invalidated or _has_no_tables(error)):
            raise
        raise LedgerUnavailable(f"{where}: {_first_line(error)}", retry_after_s=1) from error


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection to read with. Raises LedgerUnavailable."""
    with ledger_errors(engine), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is committed when the block ends. Raises LedgerUnavailable."""
    with ledger_errors(engine), engine.execution_options(**WRITE).begin() as connection:
        yield connection


@contextmanager
def however_long(connection: Connection) -> Iterator[None]:
    """Statements inside may take as long as the database lets them: a migration's."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name != "postgresql":
        yield
        return
    was, driver.silence_s = driver.silence_s, float("inf")
    try:
        yield
    finally:
        driver.silence_s = was


def _first_line(error: DBAPIError) -> str:
    reason = str(error.orig).strip().partition("\n")[0]
    return f"{reason} (run the migrations first)" if _has_no_tables(error) else reason


def _has_no_tables(error: DBAPIError) -> bool:
    """SQLite says `no such table`, PostgreSQL has SQLSTATE 42P01."""
    return "no such table" in str(error.orig) or getattr(error.orig, "sqlstate", None) == "42P01"


def _sqlite_options(url: URL) -> dict[str, Any]:
    """How long a writer waits for another to commit; `?timeout=` in the URL wins."""
    return {"connect_args": {} if "timeout" in url.query else {"timeout": BUSY_TIMEOUT_S}}


def _postgres_options(url: URL) -> dict[str, Any]:
    """Deadlines: to connect, for one statement, for a peer that has vanished. What the URL says wins.

    A peer that is there and silent: `ml.ledger.timed_connection`.
    """
    deadlines = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "tcp_user_timeout": STATEMENT_TIMEOUT_S * 1000,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "options": f"-c statement_timeout={STATEMENT_TIMEOUT_S * 1000}",
        "application_name": "tollgate",
    }
    return {
        "pool_pre_ping": True,
        "connect_args": {key: value for key, value in deadlines.items() if key not in url.query},
    }


def _connect_postgres(_dialect: Any, _record: Any, args: Any, parameters: Any, *, has_own_options: bool) -> Any:
    # Here, not at the top: its driver is there only where the ledger is in PostgreSQL.
    from ml.ledger.timed_connection import connect_timed

    return connect_timed(*args, has_own_options=has_own_options, **parameters)


def _prepare_sqlite(dbapi_connection: Any, _record: Any) -> None:
    dbapi_connection.isolation_level = None  # the driver begins nothing by itself; `_begin_sqlite` does
    for pragma in _SQLITE_PRAGMAS:
        dbapi_connection.execute(pragma)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("tollgate_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()
