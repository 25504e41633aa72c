"""Every blueprint of the web side. Views are imported when they are registered, so that importing the app is cheap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask

from web.services import Services

if TYPE_CHECKING:
    from web.views.predict import Predict


def register_blueprints(app: Flask, services: Services, predict: Predict) -> None:
    """Register them all; `predict` answers POST /predict behind Flask as it does in front of it."""
    from web.console.blueprint import console_blueprint
    from web.console.sign_in import sign_in_pages
    from web.views.batches import batches_blueprint
    from web.views.dead_letters import dead_letters_blueprint
    from web.views.decisions import decisions_blueprint
    from web.views.drift import drift_blueprint
    from web.views.feedback import feedback_blueprint
    from web.views.health import health_blueprint
    from web.views.keys import keys_blueprint
    from web.views.metrics import metrics_blueprint
    from web.views.model_jobs import model_jobs_blueprint
    from web.views.models import models_blueprint
    from web.views.pages import pages_blueprint
    from web.views.predict import predict_blueprint
    from web.views.quality import quality_blueprint
    from web.views.reviews import reviews_blueprint
    from web.views.session_check import session_check_blueprint
    from web.views.thresholds import thresholds_blueprint

    app.register_blueprint(predict_blueprint(services, predict))
    for make in (
        batches_blueprint,
        feedback_blueprint,
        health_blueprint,
        metrics_blueprint,
        models_blueprint,
        model_jobs_blueprint,
        decisions_blueprint,
        quality_blueprint,
        thresholds_blueprint,
        dead_letters_blueprint,
        reviews_blueprint,
        drift_blueprint,
        keys_blueprint,
        session_check_blueprint,
        pages_blueprint,
        console_blueprint,
        sign_in_pages,
    ):
        app.register_blueprint(make(services))
