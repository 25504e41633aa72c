"""The console: the blueprint of every group of pages under /console, behind one guard and with one error page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flask import Blueprint

from config.errors import TollgateError
from web.console.batches import batch_pages
from web.console.decisions import decision_pages
from web.console.drift import drift_pages
from web.console.models import model_pages
from web.console.operations import operation_pages
from web.console.overview import overview_pages
from web.console.page import problem_page
from web.console.quality import quality_pages
from web.console.reviews import review_pages
from web.console.thresholds import threshold_pages
from web.console.visitor import meet_visitor, remember_visitor
from web.console.words import FILTERS
from web.services import Services
from web.tenancy import require_own_route

PAGE_GROUPS: Final[tuple[Callable[[Services], Blueprint], ...]] = (
    overview_pages,
    decision_pages,
    review_pages,
    batch_pages,
    model_pages,
    quality_pages,
    threshold_pages,
    drift_pages,
    operation_pages,
)


def console_blueprint(services: Services) -> Blueprint:
    """Everything under /console."""
    blueprint = Blueprint("console", __name__, url_prefix="/console")
    blueprint.before_request(meet_visitor)
    blueprint.before_request(require_own_route)
    blueprint.after_request(remember_visitor)
    blueprint.register_error_handler(TollgateError, problem_page)
    for name, write in FILTERS.items():
        blueprint.add_app_template_filter(write, name)
    for pages in PAGE_GROUPS:
        blueprint.register_blueprint(pages(services))
    return blueprint
