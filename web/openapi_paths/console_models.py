"""The console's pages about models, quality, thresholds, drift and operations."""

from __future__ import annotations

from typing import Any

from ml.quality.summary import GROUPINGS
from web.openapi_paths.console_parts import SEE_OTHER, change, page
from web.openapi_paths.parts import TEXT, answer, path, query


def model_console_paths() -> dict[str, Any]:
    """Path -> method -> operation."""
    return {**_models(), **_figures(), **_operations()}


def _models() -> dict[str, Any]:
    model = query("model", TEXT, "Which model is shown in full; default: the champion.")
    job = {"202": answer("Asked for; GET /models/jobs/{job_id} tells", "ModelJob")}
    force = query("force", {"type": "boolean", "default": False}, "Overrule the gate; it is recorded.")
    reloaded = {
        "200": answer("Every worker serves the champion", "ReloadAnswer"),
        "207": answer("Some do not, or did not answer", "ReloadAnswer"),
    }
    promote = change("Promote it", "promoteConsoleModel", job, 404, 422, 503, name="model_version")
    promote["parameters"].append(force)
    canary = change("Decide a share", "canaryConsoleModel", job, 404, 422, 503, name="model_version")
    share = {"type": "number", "minimum": 0.001, "maximum": 0.5, "default": 0.05}
    canary["parameters"].append(query("share", share, "By account, the same ones always."))
    return {
        "/console/models": {"get": page("Models", "getConsoleModels", 422, parameters=[model])},
        "/console/models/{model_version}/promote": {"post": promote},
        "/console/models/{model_version}/shadow": {
            "post": change("Score beside the champion", "shadowConsoleModel", job, 404, 503, name="model_version")
        },
        "/console/models/{model_version}/canary": {"post": canary},
        "/console/models/challenger/end": {
            "post": change("End the shadow or canary", "endConsoleChallenger", job, 503, name="")
        },
        "/console/models/rollback": {"post": change("Roll back", "rollBackConsoleModel", job, 503, name="")},
        "/console/models/retrain": {"post": change("Train a challenger", "retrainConsole", job, 409, 503, name="")},
        "/console/models/reload": {"post": change("Reload the champion", "reloadConsole", reloaded, 503, name="")},
    }


def _figures() -> dict[str, Any]:
    days = [query("since", TEXT, "First day."), query("until", TEXT, "The day after the last.")]
    by = query("by", {"enum": list(GROUPINGS), "default": "day"}, "One line per what.")
    number = {**path("report_id"), "schema": {"type": "integer", "minimum": 0}}
    return {
        "/console/quality": {"get": page("Live quality", "getConsoleQuality", 422, 503, parameters=[by, *days])},
        "/console/thresholds": {"get": page("The advisor", "getConsoleThresholds", 503)},
        "/console/drift": {"get": page("Drift", "getConsoleDrift", 503)},
        "/console/drift/{report_id}": {
            "get": page("One drift check", "getConsoleDriftCheck", 404, 503, parameters=[number])
        },
    }


def _operations() -> dict[str, Any]:
    shown = [
        query("offset", {"type": "integer", "minimum": 0}, "Dead letters skipped."),
        query("done", TEXT, "What was done to the last one."),
    ]
    letter, entry = "/console/operations/dead-letters/{entry_id}", path("entry_id", longest=200)
    values = query("values", {"type": "boolean", "default": False}, "True: values, not only their types. Card data!")
    return {
        "/console/operations": {"get": page("Operations", "getConsoleOperations", 422, parameters=shown)},
        letter: {"get": page("One dead letter", "getConsoleDeadLetter", 404, 422, 503, parameters=[entry, values])},
        f"{letter}/replay": {
            "post": change("Try it again", "replayConsoleDeadLetter", SEE_OTHER, 404, 503, name="entry_id")
        },
        f"{letter}/drop": {
            "post": change("Forget it for good", "dropConsoleDeadLetter", SEE_OTHER, 404, 503, name="entry_id")
        },
    }
