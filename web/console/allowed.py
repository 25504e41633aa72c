"""What a page offers: what would be refused is not shown."""

from __future__ import annotations

from collections.abc import Sequence

from config.tenants import DEFAULT_TENANT
from web.auth.principal import Principal
from web.auth.rights import RIGHTS
from web.console.navigation import NAVIGATION, Link
from web.tenancy import is_open_to


def may_use(principal: Principal, route: str) -> bool:
    """Whether somebody may use a route (`POST /console/models/rollback`): by scope, and by tenant."""
    return RIGHTS[route].is_held_by(principal) and is_open_to(principal.tenant, route.partition(" ")[2])


def pages_for(principal: Principal) -> Sequence[Link]:
    """The pages of the navigation that show somebody something. The overview is the operator's."""
    links = [link for link in NAVIGATION if may_use(principal, f"GET {link.path}")]
    return links if principal.tenant == DEFAULT_TENANT else [link for link in links if link.name != "overview"]
