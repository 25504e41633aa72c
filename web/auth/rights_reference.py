"""The table of rights as docs/SECURITY.md shows it: `python -m web.auth.rights_reference` prints it."""

from __future__ import annotations

import sys
from collections import defaultdict

from web.auth.rights import RIGHTS, Right


def table() -> str:
    """Markdown: what opens it, and the routes, in the order of the table of rights. A test compares."""
    routes: dict[Right, list[str]] = defaultdict(list)
    for route, right in RIGHTS.items():
        routes[right].append(f"`{route}`")
    rows = [f"| {_words(right)} | {', '.join(found)} |" for right, found in routes.items()]
    return "\n".join(["| scope | routes |", "|---|---|", *rows]) + "\n"


def _words(right: Right) -> str:
    if right.is_public:
        return "none: public"
    return " or ".join(f"`{scope}`" for scope in right.scopes) or "any that is accepted"


if __name__ == "__main__":
    sys.stdout.write(table())
