"""Models: list, reload, promote, roll back, retrain, shadow, canary."""

from __future__ import annotations

from typing import Any

from web.openapi_paths.parts import answer, operation, path, problems, query


def models() -> dict[str, Any]:
    return operation(
        "models",
        "The champion and every bundle",
        "listModels",
        responses={"200": answer("Models", "ModelList")},
    )


def reload() -> dict[str, Any]:
    timeout = {"type": "number", "minimum": 0, "maximum": 120}
    return operation(
        "models",
        "Let every scoring worker load the champion again",
        "reloadModel",
        parameters=[
            query("timeout_s", timeout, "How long to wait for the workers' answers."),
            query("wait", {"type": "boolean", "default": True}, "False: ask only, do not wait."),
        ],
        responses={
            "200": answer("Every worker serves the champion", "ReloadAnswer"),
            "207": answer("Some do not, or did not answer", "ReloadAnswer"),
            **problems(422, 503),
        },
    )


def model_job_paths() -> dict[str, Any]:
    wait = query("timeout_s", {"type": "number", "minimum": 0, "maximum": 120, "default": 20}, "How long to wait.")
    force = query("force", {"type": "boolean", "default": False}, "Overrule the gate; it is recorded.")
    finished = {"200": answer("Done", "ModelJob"), "202": _job_accepted(), **problems(404, 409, 422, 503)}
    return {
        "/retrain": {
            "get": operation(
                "models",
                "Does a training run, and what came of the last one",
                "getRetrain",
                responses={"200": answer("The newest training", "TrainingState"), **problems(503)},
            ),
            "post": operation(
                "models",
                "Train a challenger on the ledger; the gate decides about it",
                "postRetrain",
                responses={"202": _job_accepted(), **problems(409, 422, 503)},
            ),
        },
        "/models/{model_version}/promote": {
            "post": operation(
                "models",
                "Make a model the champion, if the gate says so",
                "promoteModel",
                parameters=[path("model_version"), force, wait],
                responses=finished,
            )
        },
        "/models/rollback": {
            "post": operation(
                "models",
                "Make the model that the champion replaced the champion again",
                "rollBackModel",
                parameters=[wait],
                responses=finished,
            )
        },
        **_challenger_paths(wait, finished),
        "/models/jobs/{job_id}": {
            "get": operation(
                "models",
                "What came of a promotion, rollback or training",
                "getModelJob",
                parameters=[path("job_id")],
                responses={"200": answer("The job", "ModelJob"), **problems(404, 503)},
            )
        },
    }


def _challenger_paths(wait: dict[str, Any], finished: dict[str, Any]) -> dict[str, Any]:
    share = {"type": "number", "minimum": 0.001, "maximum": 0.5, "default": 0.05}
    return {
        "/models/{model_version}/shadow": {
            "post": operation(
                "models",
                "Let a model score beside the champion and decide nothing",
                "shadowModel",
                parameters=[path("model_version"), wait],
                responses=finished,
            )
        },
        "/models/{model_version}/canary": {
            "post": operation(
                "models",
                "Let a model decide a share of the traffic, guarded",
                "canaryModel",
                parameters=[path("model_version"), query("share", share, "By account, the same ones always."), wait],
                responses=finished,
            )
        },
        "/models/challenger": {
            "delete": operation(
                "models",
                "End the shadow or canary: the champion decides everything",
                "endChallenger",
                parameters=[wait],
                responses=finished,
            )
        },
    }


def _job_accepted() -> dict[str, Any]:
    return answer("Accepted; poll", "ModelJob", "Location", "Retry-After")
