"""Every process of docker-compose.yml, started for real with the command and the settings that stand there.

No container engine is needed: see `tests/compose_site.py` for what is mapped. Broker and database speak TLS alone, and
the broker runs with its access list: what a process may not do there fails here.
"""

from __future__ import annotations

import json
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy
from redis import Redis
from redis.exceptions import NoPermissionError, RedisError

from config.queue.stats import worker_reports
from deploy.docker import beat_health, worker_health
from tests.compose_site import SECRETS, ComposeSite
from tests.e2e.running_stack import RunningStack
from tests.programs import TLS_BROKERS, required
from tests.tls_servers import Certificates, TlsPostgres, make_certificates, running_tls_postgres

pytestmark = pytest.mark.slow

START_LIMIT_S = 120.0
PAYMENT = {
    "amount": 1500.0,
    "hour": 3,
    "day_of_week": 1,
    "merchant_category": "online",
    "previous_amount": 50.0,
    "time_since_last": 0.5,
}
READ = (
    "/health", "/metrics", "/prometheus", "/models", "/decisions", "/drift", "/quality", "/thresholds", "/dead-letters",
    "/reviews", "/console", "/console/decisions", "/console/models", "/console/operations", "/predictions/rights-1",
)  # fmt: skip
ROLES = {"scoring", "bulk", "background", "training"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def database(certificates: Certificates) -> Iterator[TlsPostgres]:
    with running_tls_postgres(certificates) as server:
        yield server


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates, database: TlsPostgres, stack: RunningStack
) -> Iterator[ComposeSite]:
    """Everything of ours runs, with the shared stack's model, so that `prepare` has nothing to train."""
    home = tmp_path_factory.mktemp("compose")
    shutil.copytree(stack.data_dir / "models", home / "models")
    shutil.copytree(stack.data_dir / "cache", home / "data" / "cache")
    site = ComposeSite(home, certificates, database.port)
    (home / "bin" / "valkey-server").symlink_to(required(*TLS_BROKERS))
    try:
        site.start("valkey")
        wait_until(site, lambda: answers_ping(site))
        # The slow ones import while `prepare` works; Compose would start them after it.
        site.start("prepare", "web", "scoring", "mlflow")
        assert site.started["prepare"].wait(START_LIMIT_S) == 0, site.log("prepare")
        del site.started["prepare"]
        site.start("bulk", "background", "training", "beat")
        yield site
    finally:
        site.stop()


@pytest.fixture(scope="module")
def client(site: ComposeSite) -> Iterator[Redis]:
    with Redis.from_url(site.redis_url, socket_timeout=5) as ours:
        yield ours


def client_of(site: ComposeSite, **who: str) -> Redis:
    """A client over TLS: nobody, without a name and a password."""
    authority = str(site.certificates.authority)
    return Redis(port=site.ports["valkey"], ssl=True, ssl_ca_certs=authority, socket_timeout=2, **who)


def answers_ping(site: ComposeSite) -> bool:
    """As the health check asks: without a password."""
    try:
        with client_of(site) as nobody:
            return bool(nobody.ping())
    except RedisError:
        return False


def wait_until(site: ComposeSite, is_true: Callable[[], bool], limit_s: float = START_LIMIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not is_true():
        for name, code in site.ended().items():
            pytest.fail(f"{name} ended with {code}\n{site.log(name)[-4000:]}")
        assert time.monotonic() < deadline, {name: site.log(name)[-1500:] for name in site.started}
        time.sleep(0.1)


def request(url: str, body: object = None, *, key: str = "TOLLGATE_ADMIN_KEY") -> tuple[int, Any]:
    """`key`: the name of the secret that is shown; empty: none."""
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    shown = {"Authorization": f"Bearer {SECRETS[key]}"} if key else {}
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json", **shown})
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except OSError:
        return 0, b""


def test_every_process_comes_up_and_a_payment_goes_all_the_way_to_the_ledger(site: ComposeSite, client: Redis) -> None:
    web = f"http://127.0.0.1:{site.ports['web']}"

    wait_until(site, lambda: request(f"{web}/health/ready")[0] == 200)
    wait_until(site, lambda: {one.role for one in worker_reports(client, 1.0)} == ROLES)
    status, body = request(f"{web}/predict", PAYMENT)

    assert status == 200, body
    decision = json.loads(body)
    engine = sqlalchemy.create_engine(site.database_url)
    try:
        wait_until(site, lambda: decision["decision_id"] in stored_decisions(engine))
    finally:
        engine.dispose()
    wait_until(site, lambda: request(f"http://127.0.0.1:{site.ports['mlflow']}/health")[0] == 200)


def test_nobody_comes_in_without_a_key_and_prometheus_sees_metrics_alone(site: ComposeSite) -> None:
    web = f"http://127.0.0.1:{site.ports['web']}"
    wait_until(site, lambda: request(f"{web}/health/ready", key="")[0] == 200)

    assert request(f"{web}/predict", PAYMENT, key="")[0] == 401
    assert request(f"{web}/prometheus", key="")[0] == 401
    assert request(f"{web}/prometheus", key="TOLLGATE_METRICS_KEY")[0] == 200
    assert request(f"{web}/decisions", key="TOLLGATE_METRICS_KEY")[0] == 403


def stored_decisions(engine: sqlalchemy.Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.execute(sqlalchemy.text("SELECT decision_id FROM decisions")).scalars())


def test_the_health_checks_of_the_containers_say_yes(site: ComposeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in site.environment("scoring").items():
        monkeypatch.setenv(name, value)
    host = socket.gethostname()

    wait_until(site, lambda: worker_health.is_healthy(host))
    assert worker_health.is_alive(host, now=time.time())
    assert not worker_health.is_healthy("another-host")
    wait_until(site, lambda: beat_health.is_ticking(when_unknown=False))


def test_a_worker_serves_its_own_metrics(site: ComposeSite) -> None:
    wait_until(site, lambda: "scoring-metrics" in site.ports)

    status, body = request(f"http://127.0.0.1:{site.ports['scoring-metrics']}/metrics")

    assert status == 200
    assert b"tollgate_decisions_total" in body


def test_web_does_everything_else_with_the_few_rights_that_it_has(site: ComposeSite, client: Redis) -> None:
    web = f"http://127.0.0.1:{site.ports['web']}"
    _, body = request(f"{web}/predict", {**PAYMENT, "transaction_id": "rights-1"})
    status, accepted = request(f"{web}/batches", [PAYMENT])
    assert status == 202, accepted
    batch = f"{web}/batches/{json.loads(accepted)['id']}"
    # No answer is a 500, nor a 503 that would mean "the broker refuses me".
    asked = [request(f"{web}{path}")[0] for path in READ]
    asked += [request(f"{web}/feedback?actual_label=1&transaction_id=rights-1", b"")[0]]
    asked += [request(f"{web}/reload-model", b"")[0], request(f"{web}/dead-letters/replay", b"")[0]]

    assert [one for one in asked if one >= 500 or not one] == [], asked
    assert json.loads(body)["decision_id"]
    wait_until(site, lambda: json.loads(request(batch)[1])["status"] in ("completed", "failed"))
    assert json.loads(request(batch)[1])["request_counts"]["completed"] == 1
    with client_of(site, username="web", password=SECRETS["VALKEY_WEB_PASSWORD"]) as signing_in:
        assert signing_in.getex("tollgate:session:nobody", ex=60) is None
        assert signing_in.getdel("tollgate:pass-code:nobody") is None
    for taking in (["BRPOP", "score", "0.01"], ["DEL", "score"], ["XACK", "tollgate:journal", "ledger", "1-1"]):
        who = client_of(site, username="web", password=SECRETS["VALKEY_WEB_PASSWORD"])
        with who as web_user, pytest.raises(NoPermissionError):
            web_user.execute_command(*taking)


def test_the_broker_lets_nobody_do_more_than_the_work_needs(site: ComposeSite, client: Redis) -> None:
    for command in (["FLUSHALL"], ["CONFIG", "GET", "*"], ["KEYS", "*"], ["GET", "somebody:elses"], ["SHUTDOWN"]):
        with pytest.raises(NoPermissionError):
            client.execute_command(*command)
    with client_of(site) as nobody, pytest.raises(NoPermissionError):
        nobody.get("tollgate:champion")
    with client_of(site, username="exporter", password=SECRETS["VALKEY_EXPORTER_PASSWORD"]) as exporter:
        assert exporter.llen("score") == 0
        with pytest.raises(NoPermissionError):
            exporter.lpush("score", "forged")


def test_no_process_was_refused_anything_by_the_broker(site: ComposeSite) -> None:
    refused = [name for name in site.started if "No permissions" in site.log(name) or "NOPERM" in site.log(name)]

    assert refused == [], site.log(refused[0])[-3000:]


def test_stopped_as_compose_stops_them_all_end_in_order(site: ComposeSite) -> None:
    codes = site.stop()

    assert {name: code for name, code in codes.items() if code not in (0, -15)} == {}
