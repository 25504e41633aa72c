"""The dashboards' queries, answered by a real Prometheus that scrapes the running stack while payments flow."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterator

import pytest

from deploy.grafana.dashboards import MEASURED
from deploy.grafana.models import NO_CHALLENGER, NO_DRIFT
from deploy.grafana.parts import NO_EXPORTER, NOTHING_FIRES
from deploy.grafana.quality import NO_LABELS, NOT_MATURED
from tests.dashboard_queries import NOTHING_HAPPENED, asked
from tests.e2e.running_stack import RunningStack
from tests.prometheus_server import RunningPrometheus, running_prometheus

pytestmark = pytest.mark.slow

WINDOW = "5s"
TRAFFIC_S = 3.0
LIMIT_S = 60.0
MAY_BE_EMPTY = {NO_LABELS, NOT_MATURED, NO_CHALLENGER, NO_DRIFT, NO_EXPORTER, NOTHING_FIRES, NOTHING_HAPPENED}
"""What a young stack does not know: labels weeks old, a drift check, an exporter that is being installed."""


@pytest.fixture(scope="module")
def prometheus(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPrometheus]:
    """It watches the running stack and its celery-exporter."""
    directory = tmp_path_factory.mktemp("prometheus")
    with running_prometheus(
        directory, web_port=stack.ports["PORT"], exporter_port=stack.ports["EXPORTER_PORT"]
    ) as server:
        yield server


def send_payments(stack: RunningStack) -> None:
    """Payments of all risks, for long enough that each counter was scraped before and after."""
    until = time.monotonic() + TRAFFIC_S
    while time.monotonic() < until:
        for amount, hour in ((12.0, 14), (1500.0, 3)):
            payment = {"transaction_id": f"dashboard-{uuid.uuid4().hex}", "amount": amount, "hour": hour}
            seen = {"day_of_week": 1, "merchant_category": "online", "previous_amount": 50.0, "time_since_last": 0.5}
            assert stack.post("/predict", payment | seen)[0] == 200


def test_every_panel_shows_something_on_the_running_stack(stack: RunningStack, prometheus: RunningPrometheus) -> None:
    stack.wait_until(lambda: stack.get("/health")[0] == 200, LIMIT_S)
    send_payments(stack)

    found = {query: prometheus.query(query.sent(WINDOW)) for query in asked()}

    empty = {query for query, values in found.items() if all(map(math.isnan, values))}
    assert {(query.where, query.expression) for query in empty if query.empty not in MAY_BE_EMPTY} == set()
    for variable in (variable for dashboard in MEASURED for variable in dashboard.variables):
        assert prometheus.label_values(variable.metric, variable.label) != []
