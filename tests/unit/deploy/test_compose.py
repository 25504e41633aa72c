"""docker-compose.yml against the launcher's own process definitions, its settings and .env.example."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from config import names
from config.settings import Settings
from deploy.launcher import processes
from deploy.launcher.child import Process

REPOSITORY = Path(__file__).resolve().parents[3]
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+)(?::([-?])([^}]*))?\}")
IN_A_CONTAINER = Settings(host="0.0.0.0", data_dir=Path("/data"))
LONG_RUNNING = {"web", "scoring", "bulk", "background", "training", "beat", "mlflow", "valkey", "celery-exporter"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
    return loaded


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def words(service: dict[str, Any]) -> list[str]:
    return shlex.split(VARIABLE.sub("VALUE", service["command"]))


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
    durable = list(processes.durability_flags(Settings()))

    assert command[-len(durable) :] == durable
    assert "--requirepass" in command


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


def test_every_service_can_be_stopped_in_order_and_gains_no_rights(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["stop_grace_period"] == "30s", name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_nothing_is_published_beyond_this_machine(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_dependencies_and_volumes_exist(compose: dict[str, Any], services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source in compose["volumes"] or (REPOSITORY / source).exists()


def test_what_others_wait_for_has_a_health_check(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        for name, wait in service.get("depends_on", {}).items():
            if wait["condition"] == "service_healthy":
                assert "healthcheck" in services[name]


def test_the_example_environment_lists_exactly_what_compose_reads() -> None:
    read = {name for name, _, _ in VARIABLE.findall((REPOSITORY / "docker-compose.yml").read_text())}
    listed = dict(
        line.split("=", 1) for line in (REPOSITORY / ".env.example").read_text().splitlines() if "=" in line[:30]
    )
    assert {name for name in listed if not name.startswith("#")} == read
    assert listed["VALKEY_PASSWORD"] == listed["POSTGRES_PASSWORD"] == ""


def test_no_password_is_written_down_in_the_compose_file() -> None:
    text = (REPOSITORY / "docker-compose.yml").read_text()

    for name, kind, _ in VARIABLE.findall(text):
        if name.endswith("PASSWORD"):
            assert kind == "?", f"{name} must have no default"


def test_the_images_run_as_a_user_without_rights() -> None:
    stages = (REPOSITORY / "deploy" / "docker" / "Dockerfile").read_text().split("\nFROM ")
    final = {stage.split(" AS ")[1].split()[0]: stage for stage in stages if " AS " in stage}

    for target in ("web", "worker"):
        assert "\nUSER tollgate\n" in final[target]


def test_prometheus_scrapes_services_that_exist(services: dict[str, dict[str, Any]]) -> None:
    jobs = yaml.safe_load((REPOSITORY / "deploy" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    targets = {
        target.partition(":")[0]
        for job in jobs
        for static in job.get("static_configs", [])
        for target in static["targets"]
    }
    [workers] = [job["dns_sd_configs"][0] for job in jobs if "dns_sd_configs" in job]

    assert targets == {"web", "celery-exporter", "localhost"}
    assert targets - {"localhost"} | set(workers["names"]) <= set(services)
    for name in workers["names"]:
        assert services[name]["environment"]["TOLLGATE_WORKER_METRICS_PORT"] == str(workers["port"])


def test_what_prometheus_is_told_is_mounted_where_it_looks(services: dict[str, dict[str, Any]]) -> None:
    config = yaml.safe_load((REPOSITORY / "deploy" / "prometheus" / "prometheus.yml").read_text())
    mounted = dict(volume.split(":")[1::-1] for volume in services["prometheus"]["volumes"] if volume.startswith("."))

    assert set(config["rule_files"]) <= set(mounted)
    assert all((REPOSITORY / source).is_file() for source in mounted.values())
