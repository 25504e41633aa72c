"""deploy/kubernetes as it is written: the same processes and settings as docker-compose.yml.

What Kustomize makes of it is checked in tests/integration/test_deployment_files.py.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from config import names
from config.settings import Settings
from tests.deployment_files import KUBERNETES, command_words, fill_in, load_compose, load_manifests

FILES = sorted(path for path in KUBERNETES.rglob("*.yaml") if "patches" not in path.parts)
MANIFESTS = [document for path in FILES for document in load_manifests(path.read_text()) if isinstance(document, dict)]
SERVICES = load_compose()["services"]
KEYS = ("TOLLGATE_ADMIN_KEY", "TOLLGATE_METRICS_KEY", "TOLLGATE_OIDC_CLIENT_SECRET")
PROCESSES = ("web", "scoring", "bulk", "background", "training", "beat", "mlflow", "prepare", "valkey")


def container(name: str) -> dict[str, Any]:
    """The container of a workload of the base."""
    workloads = [one for one in MANIFESTS if one["kind"] in ("Deployment", "StatefulSet", "Job")]
    found = next(one for one in workloads if one["metadata"]["name"] == name)
    only: list[dict[str, Any]] = found["spec"]["template"]["spec"]["containers"]
    assert len(only) == 1, "the patches count on one container a pod"
    return only[0]


@pytest.mark.parametrize("name", PROCESSES)
def test_a_pod_runs_what_compose_runs(name: str) -> None:
    command = container(name)["command"]

    assert command == command_words(SERVICES[name])


@pytest.mark.parametrize("name", ["scoring", "bulk", "background", "training", "beat"])
def test_a_worker_is_told_its_role_as_compose_tells_it(name: str) -> None:
    given = {one["name"]: one.get("value") for one in container(name)["env"]}

    assert given["TOLLGATE_ROLE"] == SERVICES[name]["environment"]["TOLLGATE_ROLE"]


def test_the_settings_are_those_of_compose() -> None:
    lines = (KUBERNETES / "base" / "settings.env").read_text().split()
    given = dict(line.split("=", 1) for line in lines)
    compose = SERVICES["web"]["environment"]
    # URLs and the key come from the secret; the schema file is the package's own; no page is guarded for a proxy.
    secret = {"TOLLGATE_REDIS_URL", "TOLLGATE_DATABASE_URL", "TOLLGATE_BUNDLE_KEY", *KEYS}
    expected = {name for name in compose if name not in secret}

    assert set(given) == expected - {"TOLLGATE_SCHEMA_FILE", "TOLLGATE_PUBLIC_DOMAIN"}
    for name, value in given.items():
        assert value == fill_in(compose[name], {}), name


def test_only_web_pods_hold_the_keys_that_open_it() -> None:
    given = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in container("web")["env"]}

    assert given == {
        "TOLLGATE_ADMIN_KEY": {"name": "tollgate-secrets", "key": "admin-key"},
        "TOLLGATE_METRICS_KEY": {"name": "tollgate-secrets", "key": "metrics-key"},
        "TOLLGATE_OIDC_CLIENT_SECRET": {"name": "tollgate-secrets", "key": "oidc-client-secret", "optional": True},
    }
    others = [container(name) for name in PROCESSES if name != "web"]
    assert not [one for only in others for one in only.get("env", []) if one["name"] in KEYS]


def test_prometheus_shows_the_metrics_key_to_web_pods() -> None:
    [monitor] = [one for one in MANIFESTS if one["kind"] == "PodMonitor" and one["metadata"]["name"] == "tollgate-web"]

    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["authorization"] == {"credentials": {"name": "tollgate-secrets", "key": "metrics-key"}}


def test_workers_serve_their_metrics_where_compose_has_them() -> None:
    patch = yaml.safe_load((KUBERNETES / "base" / "patches" / "worker.yaml").read_text())
    only = patch["spec"]["template"]["spec"]["containers"][0]
    given = {one["name"]: one["value"] for one in only["env"]}

    port = SERVICES["scoring"]["environment"]["TOLLGATE_WORKER_METRICS_PORT"]
    assert given == {"TOLLGATE_WORKER_METRICS_PORT": port}
    assert [one["containerPort"] for one in only["ports"]] == [int(port)]


def test_images_are_those_of_compose() -> None:
    theirs = ("valkey", "celery-exporter", "postgres")

    assert [container(name)["image"] for name in theirs] == [SERVICES[name]["image"] for name in theirs]
    assert {container(name)["image"] for name in PROCESSES if name != "valkey"} == {"tollgate-web", "tollgate-worker"}


def test_workers_scale_on_the_age_and_depth_of_a_queue_that_exists() -> None:
    scaled = {one["metadata"]["name"]: one["spec"] for one in MANIFESTS if one["kind"] == "ScaledObject"}
    queues = {"scoring": names.SCORING_QUEUES, "bulk": (names.QUEUE_BULK,)}

    assert set(scaled) == set(queues)
    for name, spec in scaled.items():
        assert spec["scaleTargetRef"] == {"name": name}
        assert 1 <= spec["minReplicaCount"] < spec["maxReplicaCount"]
        assert {one["metadata"]["query"] for one in spec["triggers"]} == {
            f'max({metric}{{queue="{queue}"}})'
            for queue in queues[name]
            for metric in ("tollgate_queue_oldest_age_seconds", "tollgate_queue_depth")
        }
        assert all(float(one["metadata"]["threshold"]) > 0 for one in spec["triggers"])
        assert all(one["type"] == "prometheus" for one in spec["triggers"])
        assert {one["metricType"] for one in spec["triggers"]} == {"Value", "AverageValue"}


def test_a_worker_has_longer_to_finish_than_a_batch_may_take() -> None:
    patch = yaml.safe_load((KUBERNETES / "base" / "patches" / "worker.yaml").read_text())

    assert patch["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > 2 * Settings().watchdog_s


def test_a_web_pod_ends_after_balancers_have_let_go_of_it_and_its_answers_are_out() -> None:
    web = next(one for one in MANIFESTS if one["kind"] == "Deployment" and one["metadata"]["name"] == "web")
    pod = web["spec"]["template"]["spec"]
    sleep_s = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    words = pod["containers"][0]["command"]
    kill_s = int(words[words.index("--workers-kill-timeout") + 1])

    assert pod["terminationGracePeriodSeconds"] >= sleep_s + kill_s + 10


def test_the_way_in_leads_to_web_alone_whose_routes_ask_who_is_there() -> None:
    ways = [one for one in MANIFESTS if one["kind"] == "Ingress"]
    paths = [path for one in ways for rule in one["spec"]["rules"] for path in rule["http"]["paths"]]

    assert paths
    assert {path["backend"]["service"]["name"] for path in paths} == {"web"}
    assert {one["spec"].get("type", "ClusterIP") for one in MANIFESTS if one["kind"] == "Service"} == {"ClusterIP"}
    assert "TOLLGATE_AUTH=required" in (KUBERNETES / "base" / "settings.env").read_text().split()


def test_the_balancer_drops_names_that_the_web_server_would_take_for_others() -> None:
    [way] = [one for one in MANIFESTS if one["kind"] == "Ingress"]
    attributes = way["metadata"]["annotations"]["alb.ingress.kubernetes.io/load-balancer-attributes"]

    assert "routing.http.drop_invalid_header_fields.enabled=true" in attributes.split(",")
