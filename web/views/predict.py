"""POST /predict and GET /predictions/{id}: one payment in, its decision out.

`Predict` answers from the WSGI environment alone; `web.app` puts it in front of Flask, whose request context,
routing and signals cost as much as everything here together.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any, Final
from urllib.parse import quote

import msgspec
from flask import Blueprint, Response, request

from config.contracts import LateFallback
from config.errors import BrokerUnavailable, LedgerUnavailable, Overloaded, TollgateError, UnknownId
from web.answer import Answer, json_answer
from web.auth.actor import actor_of
from web.body import read_body, require_json
from web.identifiers import client_of, known_length, new_id
from web.late import settle_by_rules, settle_late
from web.ports.transactions import Outcome, Transaction, TransactionGateway
from web.preferences import NO_PREFERENCES, Preferences, parse_prefer
from web.problems import as_response, crash_answer, problem_answer
from web.query import flag, parse_query
from web.services import Services
from web.shapes.transactions import DeadLettered, Pending
from web.tenancy import gateway_for, tenant_at

PENDING_RETRY_AFTER_S: Final = 1
DEAD_LETTERED_RETRY_AFTER_S: Final = 300
_REFUSALS: Final = (Overloaded, BrokerUnavailable, LedgerUnavailable)
_REPLAYED: Final = ("Tollgate-Replayed", "true")


class Predict:
    """Answers POST /predict. Every error leaves as an `Answer`; nothing is raised."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._gateway = services.gateway
        self._parse = services.validator.parse
        self._bodies = services.bodies
        self._observe_read = services.metrics.observe_read
        self._max_body_bytes = services.settings.max_body_bytes
        self._sync_timeout_ms = services.settings.sync_timeout_ms

    def __call__(self, environ: dict[str, Any]) -> Answer:
        """The answer to one request, from its WSGI environment."""
        try:
            return self._answer(environ)
        except TollgateError as error:
            if isinstance(error, _REFUSALS):
                self._services.metrics.count_refused(error.code)
            return problem_answer(error)
        except Exception as error:
            return crash_answer(error, path="/predict")

    def _answer(self, environ: dict[str, Any]) -> Answer:
        started_at = perf_counter()
        require_json(environ)
        with self._bodies:
            body = read_body(environ, self._max_body_bytes)
        query = environ.get("QUERY_STRING")
        explain = flag(parse_query(query, {"explain"}), "explain") if query else False
        prefer = environ.get("HTTP_PREFER")
        preferences = self._preferences(prefer) if prefer else NO_PREFERENCES
        name, sender = client_of(environ), actor_of(environ, otherwise="")
        transaction = self._parse(body)
        transaction_id = transaction.transaction_id or new_id()
        self._observe_read(perf_counter() - started_at)
        gateway = gateway_for(self._gateway, tenant_at(environ))
        if preferences.respond_async and preferences.wait_s is None:
            outcome = gateway.accept(transaction, transaction_id=transaction_id, explain=bool(explain), client=sender)
        else:
            outcome = self._score(
                gateway,
                transaction,
                transaction_id,
                bool(explain),
                client=sender,
                wait_s=preferences.wait_s,
                # A client that prefers to be told later polls, whatever the fallback.
                fallback="poll" if preferences.respond_async else self._services.degradation.fallback_of(name),
            )
        return outcome_answer(outcome, preferences)

    def _preferences(self, header: str) -> Preferences:
        return parse_prefer(header, max_wait_s=self._services.settings.max_wait_s)

    def _score(
        self,
        gateway: TransactionGateway,
        transaction: Transaction,
        transaction_id: str,
        explain: bool,
        *,
        client: str,
        wait_s: int | None,
        fallback: LateFallback,
    ) -> Outcome:
        settle: dict[str, Any] = {
            "transaction_id": transaction_id,
            "explain": explain,
            "client": client,
            "gateway": gateway,
            "metrics": self._services.metrics,
        }
        if wait_s != 0:
            try:
                outcome = gateway.score(
                    transaction,
                    transaction_id=transaction_id,
                    wait_ms=self._sync_timeout_ms if wait_s is None else wait_s * 1000,
                    explain=explain,
                    client=client,
                )
            except Overloaded:
                # To be told later is no way out here: work beyond capacity would outlive the flood that brought it.
                if fallback != "rules":
                    raise
                return settle_by_rules(transaction, cause="rules_overloaded", **settle)
            if outcome.status == "decided":
                return outcome
        return settle_late(transaction, fallback=fallback, **settle)


def outcome_answer(outcome: Outcome, preferences: Preferences = NO_PREFERENCES) -> Answer:
    """200 with the decision as the worker encoded it, or 202 with where to poll: pending, or given up."""
    applied = [("Preference-Applied", preferences.applied)] if preferences.applied else []
    if outcome.decision_json is not None:
        replayed = [_REPLAYED] if outcome.replayed else []
        return json_answer(200, outcome.decision_json, *replayed, *applied)
    location = f"/predictions/{quote(outcome.transaction_id, safe='')}"
    if outcome.status == "dead_lettered":
        return _given_up_answer(outcome.transaction_id, location, applied)
    pending = Pending(
        status="pending",
        transaction_id=outcome.transaction_id,
        location=location,
        retry_after_s=PENDING_RETRY_AFTER_S,
    )
    return json_answer(
        202,
        msgspec.json.encode(pending),
        ("Location", location),
        ("Retry-After", str(PENDING_RETRY_AFTER_S)),
        *applied,
    )


def _given_up_answer(transaction_id: str, location: str, applied: list[tuple[str, str]]) -> Answer:
    """202 as well, since a replay may still decide it, but with a status of its own and a long Retry-After."""
    given_up = DeadLettered(
        status="dead_lettered",
        transaction_id=transaction_id,
        location=location,
        retry_after_s=DEAD_LETTERED_RETRY_AFTER_S,
        detail="every attempt to score it failed; it will not be decided unless an operator replays it",
    )
    return json_answer(
        202,
        msgspec.json.encode(given_up),
        ("Location", location),
        ("Retry-After", str(DEAD_LETTERED_RETRY_AFTER_S)),
        *applied,
    )


def predict_blueprint(services: Services, predict: Predict) -> Blueprint:
    """The routes of this module. POST /predict is here too, for servers and tests that only know Flask."""
    blueprint = Blueprint("predict", __name__)

    @blueprint.post("/predict")
    def post_predict() -> Response:
        return as_response(predict(request.environ))

    @blueprint.get("/predictions/<path:transaction_id>")
    def get_prediction(transaction_id: str) -> Response:
        gateway = gateway_for(services.gateway, tenant_at(request.environ))
        outcome = gateway.find(known_length(transaction_id))
        if outcome.status == "unknown":
            raise UnknownId(f"no transaction {transaction_id!r} was accepted here")
        return as_response(outcome_answer(outcome))

    return blueprint
