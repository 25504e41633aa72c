"""Panels and variables that stand on more than one dashboard."""

from __future__ import annotations

from typing import Final

from deploy.grafana.panel import Colour, Panel, Query, Step, Variable, Words, stat
from deploy.grafana.promql import newest, quantile

ACTION_COLOURS: Final[tuple[tuple[str, Colour], ...]] = (("approve", "green"), ("review", "orange"), ("decline", "red"))
DOWN_OR_UP: Final[Words] = ((0, "down", "red"), (1, "up", "green"))
NOTHING_DECIDED: Final = "while nothing is decided"
NO_EXPORTER: Final = "while the celery-exporter does not run"
NOTHING_FIRES: Final = "while nothing fires"
NO_REQUESTS: Final = "while POST /predict is not called"

QUEUE: Final = Variable("queue", "Queue", "tollgate_queue_depth", "queue")
WORKER: Final = Variable("worker", "Worker", "tollgate_model_version_info", "worker")
MODEL_VERSION: Final = Variable("model_version", "Model version", "tollgate_workers", "model_version")

ALERTS_FIRING: Final = stat(
    "Alerts",
    "Does anything fire? Which, and what to do: the dashboard Runbook.",
    'count(ALERTS{alertstate="firing"}) or vector(0)',
    steps=(Step(1, "red"),),
)
SCORING_WORKERS: Final = stat(
    "Scoring workers",
    "Is anybody there who scores?",
    'sum(max by (model_version) (tollgate_workers{role="scoring"}))',
    steps=(Step(1, "green"),),
    lowest="red",
    alerts=("TollgateNoWorkers",),
)
MISMATCHED: Final = stat(
    "Wrong model",
    "How many workers serve another model than the champion?",
    newest("tollgate_workers_mismatched"),
    steps=(Step(1, "red"),),
    alerts=("TollgateModelVersionMismatch",),
)
VERSIONS: Final = Panel(
    "Model by worker",
    "Which model does each worker serve? Two digests of one version: somebody edited a bundle.",
    (
        Query(
            "max by (worker, role, model_version, digest)"
            ' (tollgate_model_version_info{worker=~"$worker", model_version=~"$model_version"} == 1)'
        ),
    ),
    kind="table",
    width=12,
    alerts=("TollgateModelVersionMismatch", "TollgateReloadRefused"),
)
RELOADS: Final = Panel(
    "Models loaded",
    "Did the workers take the bundles that they were told to load?",
    (Query("sum by (result) (tollgate_model_reloads_total)", "{{result}}"),),
    alerts=("TollgateReloadRefused",),
    colours=(("serving", "green"), ("refused", "red")),
)
WORKER_STAGES: Final = tuple(
    Panel(
        f"Worker stages, p{which * 100:g}",
        "Where does a batch's time go in a worker? `queue`: too few workers. `observe`, `commit`: the broker is slow."
        " `features`, `predict`: the model.",
        (Query(quantile(which, "tollgate_worker_stage_latency_seconds", "stage"), "{{stage}}"),),
        unit="s",
        width=12,
        alerts=("TollgateLatencyBurnFast",),
        empty=NOTHING_DECIDED,
    )
    for which in (0.5, 0.99)
)
