"""docker-compose.yml against the launcher's own process definitions, its settings and .env.example."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from config import names
from config.settings import Settings
from deploy.launcher import processes
from deploy.launcher.child import Process
from tests.deployment_files import REPOSITORY, load_compose
from tests.deployment_files import command_words as words

IN_A_CONTAINER = Settings(host="0.0.0.0", data_dir=Path("/data"))
LONG_RUNNING = {"web", "scoring", "bulk", "background", "training", "beat", "mlflow", "valkey", "celery-exporter"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return load_compose()


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def without_interpreter(process: Process) -> list[str]:
    return ["python", *process.argv[1:]]


@pytest.mark.parametrize(
    ("service", "process"),
    [
        ("web", processes.web(IN_A_CONTAINER)),
        ("background", processes.background()),
        ("training", processes.training()),
        ("beat", processes.beat()),
        ("mlflow", processes.mlflow(IN_A_CONTAINER, host="0.0.0.0")),
        ("prepare", processes.prepare()),
    ],
)
def test_a_service_runs_the_launchers_command(
    services: dict[str, dict[str, Any]], service: str, process: Process
) -> None:
    assert words(services[service]) == without_interpreter(process)
    environment = services[service]["environment"]
    assert environment.items() >= process.env.items()


def test_the_scoring_service_is_the_launchers_scoring_worker_twice(services: dict[str, dict[str, Any]]) -> None:
    launched = [word.replace("scoring-1@", "scoring@") for word in without_interpreter(processes.scoring(1))]

    assert words(services["scoring"]) == launched
    assert services["scoring"]["deploy"]["replicas"] == Settings().scoring_workers
    assert services["scoring"]["environment"]["TOLLGATE_ROLE"] == "scoring"


def test_the_bulk_service_is_the_launchers_bulk_worker(services: dict[str, dict[str, Any]]) -> None:
    launched = [word.replace("bulk-1@", "bulk@") for word in without_interpreter(processes.bulk(1))]

    assert words(services["bulk"]) == launched
    assert services["bulk"]["environment"]["TOLLGATE_ROLE"] == "bulk"


def test_uploads_are_shared_by_those_who_write_read_and_delete_them(services: dict[str, dict[str, Any]]) -> None:
    for service in ("web", "bulk", "background"):
        assert "blobs:/blobs" in services[service]["volumes"], service


def test_the_exporter_is_told_what_the_launcher_tells_it(services: dict[str, dict[str, Any]]) -> None:
    assert words(services["celery-exporter"]) == list(processes.exporter_flags(Settings(), host="0.0.0.0"))


def test_the_broker_is_as_durable_as_the_embedded_one(services: dict[str, dict[str, Any]]) -> None:
    command = words(services["valkey"])
    durable = list(processes.durability_flags(Settings(redis_maxmemory_bytes=2 * 1024**3)))

    assert command[-len(durable) :] == durable


def test_another_access_list_starts_the_broker_anew(services: dict[str, dict[str, Any]]) -> None:
    """It is read once; new processes under an old list do not reach their queues."""
    digest = zlib.crc32((REPOSITORY / "deploy/valkey/users.acl").read_bytes())

    assert services["valkey"]["environment"]["ACL_DIGEST"] == str(digest)


def test_every_process_of_the_launcher_has_a_service(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) >= LONG_RUNNING | {"postgres", "prometheus", "prepare"}


def test_every_queue_has_a_consumer(services: dict[str, dict[str, Any]]) -> None:
    consumed = {
        queue
        for service in services.values()
        if "--queues" in (command := words(service) if "command" in service else []) and "worker" in command
        for queue in command[command.index("--queues") + 1].split(",")
    }
    assert consumed == set(names.QUEUES)


def test_every_setting_that_is_passed_exists(services: dict[str, dict[str, Any]]) -> None:
    known = {f"TOLLGATE_{name.upper()}" for name in Settings.model_fields} | {"TOLLGATE_ROLE"}
    passed = {
        name for service in services.values() for name in service.get("environment", {}) if name.startswith("TOLLGATE_")
    }

    assert passed <= known


def test_prometheus_scrapes_services_that_exist(services: dict[str, dict[str, Any]]) -> None:
    jobs = yaml.safe_load((REPOSITORY / "deploy" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    targets = {
        target.partition(":")[0]
        for job in jobs
        for static in job.get("static_configs", [])
        for target in static["targets"]
    }
    [workers] = [job["dns_sd_configs"][0] for job in jobs if "dns_sd_configs" in job]

    assert targets - {"localhost"} | set(workers["names"]) <= set(services)
    for name in workers["names"]:
        assert services[name]["environment"]["TOLLGATE_WORKER_METRICS_PORT"] == str(workers["port"])


def test_what_prometheus_is_told_is_mounted_where_it_looks(services: dict[str, dict[str, Any]]) -> None:
    directory = REPOSITORY / "deploy" / "prometheus"
    config = yaml.safe_load((directory / "prometheus.yml").read_text())

    assert "./deploy/prometheus:/etc/prometheus:ro" in services["prometheus"]["volumes"]
    assert all((directory / Path(file).name).is_file() for file in config["rule_files"])
