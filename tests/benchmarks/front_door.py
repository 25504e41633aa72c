"""What a request costs inside the web process, without a socket: the front door, Flask, and their parts.

python -m tests.benchmarks.front_door
"""

from __future__ import annotations

import io
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response

from config import tracing
from config.schema.load import load_schema
from config.schema.validate import compile_validator
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from tests.token_issuer import AUDIENCE, Issuer, make_signer
from tests.web_app import PAYMENT, build_app, decide_by_amount
from web.answer import STATUS_LINES
from web.auth.door import OPEN_DOOR, Door
from web.auth.header import HeaderWay
from web.auth.issuer_keys import IssuerKeys
from web.auth.key_desk import KeyDesk, KeyWish
from web.auth.keys import KeyRing
from web.auth.memory_keys import MemoryKeys
from web.auth.tokens import TokenVerifier
from web.front_door import FrontDoor
from web.limits.around import Limits
from web.limits.budgets import Budgets
from web.limits.store import MemoryLimitStore
from web.memory_gateway import MemoryGateway
from web.ports.transactions import Outcome
from web.slow_clients import SlowClients, Watched
from web.views.predict import outcome_answer

BODY = json.dumps(PAYMENT).encode()
ROUNDS, REQUESTS = 9, 4000
NEVER = "100000000/minute"
OUTCOME = Outcome("decided", "t-1", b"{}")


def environ() -> dict[str, Any]:
    """What a server hands over for POST /predict."""
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/predict",
        "QUERY_STRING": "",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(BODY)),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost:8000",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(BODY),
    }


def traced(ratio: float, answer: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], object]:
    """The same with this share of requests traced; spans are made and thrown away."""
    # Here and not above: an extra that only these rows need.
    from opentelemetry.sdk.trace import TracerProvider

    from config.otlp import OtlpTracing

    with_tracing = OtlpTracing(TracerProvider(), ratio=ratio)

    def traced_answer(request: dict[str, Any]) -> object:
        tracing.install(with_tracing)
        try:
            return answer(request)
        finally:
            tracing.install(tracing.Untraced())

    return traced_answer


def us_per_request(answer: Callable[[dict[str, Any]], object]) -> float:
    """The median over rounds of the mean CPU time per request."""
    rounds = []
    for _ in range(ROUNDS):
        requests = [environ() for _ in range(REQUESTS)]
        started_at = time.process_time()
        for request in requests:
            answer(request)
        rounds.append((time.process_time() - started_at) / REQUESTS * 1e6)
    return statistics.median(rounds)


def through(app: Any) -> Callable[[dict[str, Any]], object]:
    """Call a WSGI app as a server does, to the end of its answer."""

    def answer(request: dict[str, Any]) -> bytes:
        chunks = app(request, lambda *_: None)
        body = b"".join(chunks)
        if hasattr(chunks, "close"):
            chunks.close()
        return body

    return answer


def front_door(app: Flask, door: Door) -> FrontDoor:
    """The front door with an answer made ready behind it."""
    metrics = app.extensions["tollgate"].metrics
    return FrontDoor(app.wsgi_app, lambda _: outcome_answer(OUTCOME), metrics, door=door, drains=1)  # type: ignore[arg-type]


def asking_door() -> tuple[Door, str, str]:
    """A door that asks, beside a hundred other keys: with a key that opens it, and a token."""
    store, signer = MemoryKeys(), make_signer("k", "RS256")
    keys = [KeyDesk(store).create(KeyWish("shop", ("score",)), actor="", now=datetime.now(UTC)) for _ in range(100)]
    ring = KeyRing(store, is_local=True)
    ring.refresh()
    issuer = Issuer(port=1, signers=[signer])
    settings = Settings(oidc_issuer=issuer.url, oidc_audience=AUDIENCE)
    tokens = TokenVerifier(settings, IssuerKeys(lambda: [signer.public()], refresh_s=30))
    return Door((HeaderWay(ring, tokens),)), keys[50].text, issuer.token(signer)


def showing(key: str, app: Any) -> Any:
    """The same app for requests that show a key or token."""
    return lambda request, start: app({**request, "HTTP_AUTHORIZATION": f"Bearer {key}"}, start)


def polling(app: Flask) -> Callable[[dict[str, Any]], object]:
    """The same for GET /predictions/{id}: a route that Flask answers, with a span around it."""
    answer = through(app)
    return lambda request: answer(request | {"REQUEST_METHOD": "GET", "PATH_INFO": "/predictions/t-1"})


def main() -> None:
    """Print a Markdown table."""
    schema = load_schema(DEFAULT_SCHEMA)
    validator = compile_validator(schema)
    gateway = MemoryGateway(decide_by_amount)
    app = build_app(Settings(), gateway, schema, validator)
    empty = Flask("empty")
    empty.add_url_rule("/predict", "predict", lambda: Response(b"{}", mimetype="application/json"), methods=["POST"])
    metrics = app.extensions["tollgate"].metrics
    door = front_door(app, OPEN_DOOR)
    asks, key, token = asking_door()
    budgets = replace(Budgets.of(Settings()), score=NEVER, address=NEVER)
    within = Limits(budgets, MemoryLimitStore(), metrics).scores(lambda _: outcome_answer(OUTCOME))
    limited = FrontDoor(app.wsgi_app, within, metrics, door=OPEN_DOOR, drains=1)
    polled = polling(app)
    rows = {
        "an empty Flask route": through(empty),
        "the front door, an answer made ready": through(door),
        "the same with limits, a key and an address counted": through(limited),
        "the same, its body under watch": through(Watched(door, SlowClients(60))),
        "the same, one request in a hundred traced": traced(0.01, through(door)),
        "the same, every request traced": traced(1.0, through(door)),
        "the front door that asks, an API key": through(showing(key, front_door(app, asks))),
        "the same, a token seen before": through(showing(token, front_door(app, asks))),
        "a poll, through Flask": polled,
        "a poll, one in a hundred traced": traced(0.01, polled),
        "a poll, each traced": traced(1.0, polled),
        "the validator": lambda _: validator.parse(BODY),
        "counting a request": lambda _: metrics.observe_request("/predict", 200, 0.001),
        "making the answer": lambda _: (outcome_answer(OUTCOME), STATUS_LINES[200]),
    }
    print("| part | CPU us per request |\n|---|---|", file=sys.stdout)  # noqa: T201 (a table for people)
    for name, answer in rows.items():
        print(f"| {name} | {us_per_request(answer):.1f} |")  # noqa: T201


if __name__ == "__main__":
    main()
