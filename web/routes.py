"""The app's routes by the names that the OpenAPI document and the metrics use: `/predictions/{id}`."""

from __future__ import annotations

import re
from typing import Final

from flask import Flask
from werkzeug.routing import Rule
from werkzeug.wrappers import Request

UNMATCHED: Final = "unmatched"
_ARGUMENT: Final = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")


def route_name(rule: str) -> str:
    """A Flask rule as OpenAPI writes it.

    >>> route_name("/predictions/<path:transaction_id>")
    '/predictions/{transaction_id}'
    """
    return _ARGUMENT.sub(r"{\1}", rule)


def route_names(app: Flask) -> list[str]:
    """Every route of `app`, once."""
    return sorted({route_name(rule.rule) for rule in app.url_map.iter_rules()})


def route_of(request: Request) -> str:
    """The route that matched; `UNMATCHED` when none did, so that clients cannot invent label values."""
    rule: Rule | None = getattr(request, "url_rule", None)
    return UNMATCHED if rule is None else route_name(rule.rule)
