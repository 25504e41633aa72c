"""Broker and database over TLS: what every kind of client accepts, and what it refuses.

That all processes work this way is shown by tests/e2e/test_compose_processes.py.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redbeat.schedulers
import redis
from celery import Celery
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.celery_app import make_celery
from config.errors import LedgerUnavailable
from config.queue.connections import make_redis
from config.settings import Settings
from ml.ledger.repository import Ledger
from tests.compose_site import SECRETS, ComposeSite
from tests.programs import TLS_BROKERS, required
from tests.tls_servers import Certificates, TlsPostgres, make_certificates, running_tls_postgres

NOT_IN_THE_CERTIFICATE = "127.1"
"""Another way to write 127.0.0.1."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("strangers"))


@pytest.fixture(scope="module")
def database(certificates: Certificates) -> Iterator[TlsPostgres]:
    with running_tls_postgres(certificates) as server:
        yield server


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[int]:
    """The port of a broker that Compose's command started."""
    site = ComposeSite(tmp_path_factory.mktemp("site"), certificates, 0)
    (site.home / "bin" / "valkey-server").symlink_to(required(*TLS_BROKERS))
    site.start("valkey")
    deadline = time.monotonic() + 30
    with make_redis(settings_of(site.ports["valkey"], certificates), timeout_s=2) as client:
        while not answers(client):
            assert not site.ended(), site.log("valkey")
            assert time.monotonic() < deadline, site.log("valkey")
            time.sleep(0.02)
    yield site.ports["valkey"]
    site.stop()


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def settings_of(
    port: int, trusted: Certificates, *, host: str = "127.0.0.1", password: str = SECRETS["VALKEY_PASSWORD"]
) -> Settings:
    """As an operator would write it, without a word on verifying."""
    return Settings(redis_url=f"rediss://tollgate:{password}@{host}:{port}/0?ssl_ca_certs={trusted.authority}")


def ping_by_redis_py(settings: Settings) -> None:
    with make_redis(settings, timeout_s=2) as client:
        client.get("tollgate:champion")


def ping_by_kombu(settings: Settings) -> None:
    with make_celery(settings, "scoring").connection_for_read() as connection:
        transport = connection.transport.establish_connection()
        transport.create_channel(transport).client.llen("score")


def ping_by_redbeat(settings: Settings) -> None:
    app: Celery = make_celery(settings, "background")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that its next version will read its own options only
        app.redbeat_conf = redbeat.schedulers.RedBeatConfig(app)
    with redbeat.schedulers.get_redis(app) as client:
        client.get("tollgate:beat::lock")


CLIENTS = pytest.mark.parametrize("ping", [ping_by_redis_py, ping_by_kombu, ping_by_redbeat])


@CLIENTS
def test_a_broker_that_our_authority_vouches_for_is_used(
    ping: Callable[[Settings], None], port: int, certificates: Certificates
) -> None:
    ping(settings_of(port, certificates))


@CLIENTS
def test_a_broker_of_another_authority_or_name_is_refused_by_every_client(
    ping: Callable[[Settings], None], port: int, certificates: Certificates, strangers: Certificates
) -> None:
    with pytest.raises(redis.ConnectionError, match="certificate verify failed"):
        ping(settings_of(port, strangers))
    with pytest.raises(redis.ConnectionError, match="Hostname mismatch"):
        ping(settings_of(port, certificates, host=NOT_IN_THE_CERTIFICATE))


def test_the_broker_refuses_a_wrong_password_and_whoever_speaks_no_tls(port: int, certificates: Certificates) -> None:
    with pytest.raises(redis.AuthenticationError):
        ping_by_redis_py(settings_of(port, certificates, password="guessed"))
    with (
        redis.Redis(port=port, socket_timeout=2, retry=Retry(NoBackoff(), 0)) as plain,
        pytest.raises(redis.ConnectionError),
    ):
        plain.ping()


def test_the_ledger_is_kept_over_tls(database: TlsPostgres) -> None:
    ledger = Ledger(database.url())
    try:
        ledger.migrate()
        assert ledger.count_decisions() == 0
    finally:
        ledger.close()


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("sslmode=disable", "no encryption"),
        ("sslmode=verify-full&sslrootcert={strangers}", "certificate verify failed"),
    ],
)
def test_a_database_that_is_not_verified_is_not_used(
    query: str, reason: str, database: TlsPostgres, strangers: Certificates
) -> None:
    refused(database.url(query=query.format(strangers=strangers.authority)), reason)


def test_a_database_of_another_name_is_not_used_nor_one_that_knows_no_such_user(database: TlsPostgres) -> None:
    verified = f"sslmode=verify-full&sslrootcert={database.authority}&hostaddr=127.0.0.1"
    refused(database.url(host="another.name", query=verified), "does not match host name")
    refused(database.url(user="somebody"), "password authentication failed")


def refused(url: str, reason: str) -> None:
    ledger = Ledger(url)
    try:
        with pytest.raises(LedgerUnavailable, match=reason):
            ledger.count_decisions()
    finally:
        ledger.close()


def test_certificates_that_are_there_are_kept_until_new_ones_are_asked_for(tmp_path: Path) -> None:
    first = make_certificates(tmp_path).authority.read_bytes()

    assert make_certificates(tmp_path).authority.read_bytes() == first
    assert make_certificates(tmp_path, "--renew").authority.read_bytes() != first
    assert not list(tmp_path.rglob("ca.key"))
    assert {path.stat().st_mode & 0o007 for path in tmp_path.rglob("tls.key")} == {0}
