"""Servers that speak TLS, with the certificates that deploy/tls/make_certificates.sh makes.

The servers of the wheels have no TLS: these are the system's (see `tests.programs`).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.programs import required
from tests.servers import free_port

REPOSITORY = Path(__file__).resolve().parents[1]
MAKE_CERTIFICATES = REPOSITORY / "deploy" / "tls" / "make_certificates.sh"
POSTGRES = REPOSITORY / "deploy" / "postgres"
START_LIMIT_S = 60.0
DATABASE_PASSWORD = "databaseSecret1"

# What the image's entry point does for a new volume, as far as the start script relies on it.
ENTRY_POINT = """#!/bin/sh
set -eu
[ "$1" = postgres ] && shift
"{bin}/initdb" --pgdata "{home}/data" --username tollgate --pwfile "{home}/password" --auth-host scram-sha-256 \\
    --no-sync >"{home}/initdb.log" 2>&1
exec "{bin}/postgres" -D "{home}/data" -h 127.0.0.1 -k "{home}" -p {port} -c fsync=off "$@"
"""


@dataclass(frozen=True)
class Certificates:
    """What one run of the script made in `directory`."""

    directory: Path

    @property
    def authority(self) -> Path:
        """The certificate that clients trust."""
        return self.directory / "authority" / "ca.crt"

    def of(self, server: str) -> Path:
        """The directory with tls.crt and tls.key of `valkey` or `postgres`."""
        return self.directory / server


def make_certificates(directory: Path, *options: str) -> Certificates:
    """Run the script that operators run."""
    required("openssl")
    subprocess.run(["sh", MAKE_CERTIFICATES, *options, directory], check=True, capture_output=True, timeout=60)
    return Certificates(directory)


@dataclass(frozen=True)
class TlsPostgres:
    """A PostgreSQL that only TLS with a password gets into: `deploy/postgres`, as in a container."""

    port: int
    authority: Path

    def url(self, *, user: str = "tollgate", host: str = "127.0.0.1", query: str | None = None) -> str:
        """The SQLAlchemy URL; without `query` one that verifies the server."""
        query = f"sslmode=verify-full&sslrootcert={self.authority}" if query is None else query
        return f"postgresql+psycopg://{user}:{DATABASE_PASSWORD}@{host}:{self.port}/tollgate?{query}"


@contextmanager
def running_tls_postgres(certificates: Certificates) -> Iterator[TlsPostgres]:
    """Start PostgreSQL by the script of the container; stop it and remove its data at the end."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    programs = Path(required("initdb", also_in=installed)).resolve().parent
    home = Path(tempfile.mkdtemp(prefix="tollgate-tls-postgres-"))
    server = TlsPostgres(free_port(), certificates.authority)
    _furnish(home, certificates, programs, server.port)
    try:
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(["sh", home / "start.sh"], env=_environment(home), stderr=log, user=_its_user())
        try:
            _wait_for(server, process, home)
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # SIGTERM would wait for every client to leave
            process.wait(START_LIMIT_S)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _furnish(home: Path, certificates: Certificates, programs: Path, port: int) -> None:
    for source in (
        *POSTGRES.iterdir(),
        certificates.of("postgres") / "tls.crt",
        certificates.of("postgres") / "tls.key",
    ):
        shutil.copy(source, home)
    (home / "key").mkdir()
    (home / "password").write_text(DATABASE_PASSWORD)
    (home / "entry-point").write_text(ENTRY_POINT.format(bin=programs, home=home, port=port))
    (home / "entry-point").chmod(0o755)
    user = _its_user()
    for path in (home, *home.iterdir()) if user else ():
        shutil.chown(path, user)


def _its_user() -> str | None:
    """PostgreSQL refuses to run as root: then as the user that its package made."""
    return "postgres" if os.geteuid() == 0 else None


def _environment(home: Path) -> dict[str, str]:
    return {
        **os.environ,
        "CERTIFICATE_DIRECTORY": str(home),
        "KEY_DIRECTORY": str(home / "key"),
        "ENTRY_POINT": str(home / "entry-point"),
    }


def _wait_for(server: TlsPostgres, process: subprocess.Popen[bytes], home: Path) -> None:
    """Until it serves, then make the database, as the image would."""
    where = server.url().replace("+psycopg", "").replace("/tollgate?", "/postgres?")
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            with psycopg.connect(where, autocommit=True, connect_timeout=2) as connection:
                connection.execute("CREATE DATABASE tollgate")
                return
        except psycopg.OperationalError:
            assert process.poll() is None, (home / "log").read_text()
            assert time.monotonic() < deadline, (home / "log").read_text()
            time.sleep(0.05)
