"""/console: what happens now, and /console/live, the figures that the page asks for every two seconds."""

from __future__ import annotations

import time

from flask import Blueprint, Response, redirect, request
from werkzeug import Response as AnyResponse

from config.tenants import DEFAULT_TENANT
from web.console.page import data, page
from web.overview import read_overview
from web.query import parse_query, whole
from web.services import Services
from web.tenancy import tenant_at

_LATEST_S = 2**40


def overview_pages(services: Services) -> Blueprint:
    """The routes of this module."""
    blueprint = Blueprint("overview", __name__)
    gateway = services.gateway

    @blueprint.get("")
    def get_overview() -> AnyResponse:
        if tenant_at(request.environ) != DEFAULT_TENANT:
            return redirect("/console/decisions", 303)
        return page("overview.html", here="overview", now=read_overview(gateway, now_s=time.time()))

    @blueprint.get("/live")
    def get_live() -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), {"since"})
        since_s = whole(query, "since", default=0, low=0, high=_LATEST_S)
        return data(read_overview(gateway, since_s=since_s, now_s=time.time()))

    return blueprint
