"""Whose data a request may touch: its tenant, found at the door, and the routes on which each tenant has its own.

A route that is not listed here is the operator's: it shows the whole system, or changes it. So a new route is closed
to other tenants until somebody decides that it keeps them apart.
"""

from __future__ import annotations

from typing import Any, Final

from flask import Flask, request

from config.errors import Forbidden
from config.tenants import DEFAULT_TENANT
from web.auth.principal import principal_of
from web.own_gateway import OwnGateway
from web.ports.transactions import TransactionGateway
from web.routes import UNMATCHED, route_of

OWN_DATA: Final = frozenset(
    {
        "/predict",
        "/predictions/{transaction_id}",
        "/feedback",
        "/batches",
        "/batches/{batch_id}",
        "/batches/{batch_id}/results",
        "/batches/{batch_id}/errors",
        "/decisions",
        "/decisions/{decision_id}",
        "/reviews",
        "/console",
        "/console/decisions",
        "/console/decisions/{decision_id}",
        "/console/decisions/{decision_id}/replay",
        "/console/replays/{replay_id}",
        "/console/reviews",
        "/console/reviews/queue",
        "/console/reviews/{decision_id}/case",
        "/console/reviews/{decision_id}/claim",
        "/console/reviews/{decision_id}/release",
        "/console/reviews/{decision_id}/label",
        "/console/batches",
        "/console/batches/states",
        "/console/batches/{batch_id}",
        "/console/batches/{batch_id}/state",
        "/console/batches/{batch_id}/cancel",
        "/console/batches/{batch_id}/results.ndjson",
        "/console/batches/{batch_id}/results.csv",
        "/console/batches/{batch_id}/errors.ndjson",
    }
)
"""Each tenant sees its own here, and nothing of another. /console leads other tenants on to their decisions."""

NOBODYS_DATA: Final = frozenset(
    {
        "/",
        "/docs",
        "/openapi.json",
        "/problems/{code}",
        "/static/{filename}",
        "/health",
        "/health/live",
        "/health/ready",
        "/console/login",
        "/console/login/issuer",
        "/console/login/callback",
        "/console/logout",
    }
)
"""What these say is about no payment."""

_OPEN_TO_ALL: Final = OWN_DATA | NOBODYS_DATA | {UNMATCHED}
CONSOLE: Final = "console"


def tenant_at(environ: dict[str, Any]) -> str:
    """The tenant that a WSGI request comes from."""
    return principal_of(environ).tenant


def gateway_for(gateway: TransactionGateway, tenant: str) -> TransactionGateway:
    """The gateway as a tenant sees it; for the default tenant the gateway itself, at no cost."""
    return gateway if tenant == DEFAULT_TENANT else OwnGateway(gateway, tenant)


def is_open_to(tenant: str, route: str) -> bool:
    """Whether a route, by its path, shows a tenant its own data or nobody's."""
    return tenant == DEFAULT_TENANT or route in _OPEN_TO_ALL


def require_own_route() -> None:
    """Pass when the route is open to the request's tenant. Raises Forbidden.

    Called by the console after it has met its visitor: its error page needs one.
    """
    tenant = tenant_at(request.environ)
    if not is_open_to(tenant, route_of(request)):
        raise Forbidden(f"this shows or changes the whole system, and tenant {tenant} sees its own data only")


def keep_routes_apart(app: Flask) -> None:
    """Close the operator's routes to other tenants."""

    @app.before_request
    def _require_own_route() -> None:
        if not (request.blueprint or "").startswith(CONSOLE):
            require_own_route()
