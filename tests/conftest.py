"""Fixtures that every test directory shares: real servers (one of each per session) and the real data."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from config.collector import settle

if TYPE_CHECKING:
    from redis import Redis
    from xdist.remote import Producer
    from xdist.scheduler import Scheduling

    from tests.servers import RunningPostgres, RunningValkey

# As in every scoring process: OpenMP threads that spin against each other made one test take 34 s. Set before any
# test imports numpy.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A loaded machine is slow, not wrong: examples have no deadline.
hypothesis.settings.register_profile("tollgate", deadline=None)
hypothesis.settings.load_profile("tollgate")

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the fault suite; declared here, since pytest reads only this file before it parses options."""
    group = parser.getgroup("tollgate")
    group.addoption("--faults", choices=("short", "full"), default="short", help="form of tests/faults")
    group.addoption("--soak-minutes", type=float, default=0.0, help="length of the soak; 0: a few seconds")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """With `pytest -n`: tests that share a running system run in one process."""
    from tests.scheduling import SharedStacks  # lazily: few runs need it

    return SharedStacks(config, log)


def pytest_collection_finish(session: pytest.Session) -> None:
    """What has been imported and collected is left alone by Python's garbage collector, as in every process.

    Each full collection looked at three thousand tests and all of scikit-learn: a third of the unit tests' time.
    """
    settle()


@pytest.fixture(scope="session")
def valkey() -> Iterator[RunningValkey]:
    """One Valkey server for the session; use `redis_client` or `redis_url` to find it empty."""
    from tests.servers import running_valkey  # lazily: unit tests need no server packages

    with running_valkey() as server:
        yield server


@pytest.fixture
def redis_client(valkey: RunningValkey) -> Iterator[Redis]:
    """A client (bytes in, bytes out) of the session's Valkey, emptied before the test."""
    from redis import Redis

    with Redis.from_url(valkey.url, socket_timeout=5) as client:
        client.flushall()
        yield client


@pytest.fixture
def redis_url(valkey: RunningValkey, redis_client: Redis) -> str:
    """The URL of the session's Valkey, emptied before the test."""
    return valkey.url


@pytest.fixture(scope="session")
def postgres() -> Iterator[RunningPostgres]:
    """One PostgreSQL server for the session."""
    from tests.servers import running_postgres

    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres: RunningPostgres) -> str:
    """A database that the whole session shares."""
    return postgres.url()


@pytest.fixture
def postgres_database(postgres: RunningPostgres) -> Iterator[str]:
    """The URL of an empty database of this test's own, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    postgres.execute(f"CREATE DATABASE {name}")
    yield postgres.url(name)
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def data_dir_real() -> Path:
    """Where handbook.parquet and sparkov.parquet are: `TOLLGATE_TEST_DATA`, else `../shared/data`.

    Absent: the test is skipped with the reason, and fails where `CI=true`.
    """
    directory = Path(os.environ.get("TOLLGATE_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    if (directory / "handbook.parquet").exists():
        return directory
    reason = f"no handbook.parquet in {directory}: set TOLLGATE_TEST_DATA to where the data is"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
