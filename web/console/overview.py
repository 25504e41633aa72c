"""/console: what happens now, and /console/live, the figures that the page asks for every two seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from flask import Blueprint, Response, redirect, request
from werkzeug import Response as AnyResponse

from config.errors import LedgerUnavailable
from config.tenants import DEFAULT_TENANT
from web.console.page import data, page
from web.overview import Overview, read_overview
from web.ports.ledger import DecisionLedger
from web.query import parse_query, whole
from web.remembered import Remembered
from web.services import Services
from web.tenancy import tenant_at

LEDGER_EVERY_S: Final = 5.0
_LATEST_S = 2**40


def overview_pages(services: Services) -> Blueprint:
    """The routes of this module."""
    blueprint = Blueprint("overview", __name__)
    look = overview_reader(services)

    @blueprint.get("")
    def get_overview() -> AnyResponse:
        if tenant_at(request.environ) != DEFAULT_TENANT:
            return redirect("/console/decisions", 303)
        return page("overview.html", here="overview", now=look())

    @blueprint.get("/live")
    def get_live() -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), {"since"})
        since_s = whole(query, "since", default=0, low=0, high=_LATEST_S)
        return data(look(since_s=since_s))

    return blueprint


def overview_reader(services: Services) -> Callable[..., Overview]:
    """`read_overview` of these services. The ledger is asked once in a while: one that is away takes seconds."""
    is_ledger_up = Remembered(lambda: _answers(services.ledger), LEDGER_EVERY_S)

    def look(*, since_s: int = 0) -> Overview:
        return read_overview(services.gateway, since_s=since_s, now_s=time.time(), is_ledger_up=is_ledger_up)

    return look


def _answers(ledger: DecisionLedger) -> bool:
    try:
        ledger.pulse()
    except LedgerUnavailable:
        return False
    return True
