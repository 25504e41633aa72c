"""Limits at the door, before Flask: POST /predict, and credentials that were refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from limits import RateLimitItem, parse

from config.errors import RateLimited
from web.answer import STATUS_LINES, Answer
from web.limits.budgets import BudgetName, Budgets, by_address, client_in
from web.limits.leases import Leases
from web.limits.standing import Standing, limited_answer, tightest
from web.limits.tries import remember_tries
from web.metrics import WebMetrics

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication


class LimitedScores:
    """Lets payments through to `score` as long as the budgets of their key and of their address last."""

    def __init__(
        self, score: Callable[[dict[str, Any]], Answer], budgets: Budgets, leases: Leases, metrics: WebMetrics
    ) -> None:
        self._answer = score
        self._leases = leases
        self._metrics = metrics
        self._score = _parsed(budgets.score)
        self._address = _parsed(budgets.address)
        self._budgets = budgets

    def __call__(self, environ: dict[str, Any]) -> Answer:
        """What `score` answers, with how the budgets stand; 429 without asking it when one is used up."""
        standing = self._take(environ)
        if standing is None:
            return self._answer(environ)
        if standing.is_spent:
            self._metrics.count_limited(standing.budget)
            return limited_answer(standing)
        answer = self._answer(environ)
        answer.headers.extend(standing.headers())
        return answer

    def _take(self, environ: dict[str, Any]) -> Standing | None:
        """The tighter of both budgets; that of the address is spared what the key's own refuses."""
        own = self._spend("score", self._score, self._budgets.score, client_in(environ))
        if own is not None and own.is_spent:
            return own
        shared = self._spend("address", self._address, self._budgets.address, by_address(environ))
        return tightest([one for one in (own, shared) if one is not None])

    def _spend(self, budget: BudgetName, rate: RateLimitItem | None, text: str, client: str) -> Standing | None:
        return self._leases.take(budget, rate, text, client) if rate is not None else None


class FailedCredentials:
    """Counts refused credentials by address.

    Around the application: once an address used its budget up, it reads 429 in the place of 401. Who shows a key
    that holds is not held up by others at the same address: keys cannot be guessed. Passwords can, so a login calls
    `require_tries` before it looks at one.
    """

    def __init__(self, inner: WSGIApplication, rate: str, leases: Leases, metrics: WebMetrics) -> None:
        self._inner = inner
        self._text = rate
        self._rate = parse(rate)
        self._leases = leases
        self._metrics = metrics

    def require(self, environ: dict[str, Any]) -> None:
        """Pass while the address has tries left; spends none. Raises RateLimited."""
        spent_for_s = self._leases.is_spent("credentials", self._rate, by_address(environ))
        if spent_for_s is not None:
            self._metrics.count_limited("credentials")
            raise RateLimited("too many wrong credentials came from this address", retry_after_s=spent_for_s)

    def failed(self, environ: dict[str, Any]) -> Standing | None:
        """Count one refusal; how the address stands after it, None when nobody could count."""
        return self._leases.take("credentials", self._rate, self._text, by_address(environ))

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        remember_tries(environ, self)
        held: list[Any] = []

        def hold(*started: Any) -> Any:
            if not started[0].startswith("401"):
                return start_response(*started)
            held.extend(started)
            return _no_write

        chunks = self._inner(environ, hold)
        if not held:
            return chunks
        standing = self.failed(environ)
        if standing is None or not standing.is_spent:
            start_response(*held)
            return chunks
        self._metrics.count_limited("credentials")
        return _instead(chunks, limited_answer(standing), start_response)


def _parsed(text: str) -> RateLimitItem | None:
    return parse(text) if text else None


def _instead(chunks: Iterable[bytes], answer: Answer, start_response: StartResponse) -> Iterable[bytes]:
    close = getattr(chunks, "close", None)
    if close is not None:
        close()
    start_response(STATUS_LINES[answer.status], answer.headers)
    return [answer.body]


def _no_write(_: bytes) -> None:
    raise AssertionError("WSGI's write() is not used here")
