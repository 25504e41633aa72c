"""deploy/terraform without its providers: every name that is used is declared, everything declared is used.

What only the providers know (arguments of resources) needs `terraform validate`; docs/deployment.md says so.
"""

from __future__ import annotations

import re

from tests.deployment_files import REPOSITORY

DIRECTORY = REPOSITORY / "deploy" / "terraform"
SOURCES = {path.name: path.read_text() for path in sorted(DIRECTORY.glob("*.tf"))}


def code() -> str:
    """All files without comments, descriptions and strings that interpolate nothing."""
    text = "\n".join(SOURCES.values())
    text = re.sub(r"<<-EOT.*?^\s*EOT$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)


def declared(kind: str) -> set[str]:
    return {".".join(names) for names in re.findall(rf'^{kind} "([\w-]+)"(?: "([\w-]+)")? {{', code(), re.MULTILINE)}


def test_every_resource_that_is_named_is_declared() -> None:
    used = {f"{kind}.{name}" for kind, name in re.findall(r"(?<![\w.\"/-])((?:aws|random)_\w+)\.(\w+)", code())}
    of_data = {f"{kind}.{name}" for kind, name in re.findall(r"\bdata\.(\w+)\.(\w+)", code())}

    assert used - of_data <= declared("resource")
    assert of_data == declared("data")


def test_every_variable_is_declared_described_and_used() -> None:
    blocks = re.findall(r'^variable "(\w+)" {(.*?)^}', SOURCES["variables.tf"], re.DOTALL | re.MULTILINE)
    used = set(re.findall(r"\bvar\.(\w+)", code()))

    assert used == {name for name, _ in blocks}
    for name, body in blocks:
        assert "description" in body, name
        assert "type" in body, name


def test_every_local_value_is_declared_and_used() -> None:
    inside = re.findall(r"^locals {(.*?)^}", code(), re.DOTALL | re.MULTILINE)
    names = {name for body in inside for name in re.findall(r"^  (\w+)\s+=", body, re.MULTILINE)}

    assert set(re.findall(r"\blocal\.(\w+)", code())) == names


def test_every_output_says_what_it_is_for() -> None:
    outputs = re.findall(r'^output "(\w+)" {(.*?)^}', SOURCES["outputs.tf"], re.DOTALL | re.MULTILINE)

    assert outputs
    assert [name for name, body in outputs if "description" not in body] == []


def test_what_is_stored_is_encrypted_with_our_key() -> None:
    for resource in ("aws_db_instance", "aws_efs_file_system", "aws_elasticache_replication_group"):
        body = re.search(rf'^resource "{resource}" "this" {{(.*?)^}}', code(), re.DOTALL | re.MULTILINE)
        assert body is not None, resource
        assert re.search(r"kms_key_id\s+= aws_kms_key\.this\.arn", body[1]), resource


def test_broker_and_database_are_reached_over_verified_tls_alone() -> None:
    assert re.search(r"transit_encryption_enabled\s+= true", SOURCES["broker.tf"])
    assert re.search(r'name\s+= "rds.force_ssl"\s+value = "1"', SOURCES["database.tf"])
    assert len(re.findall(r"-?redis-url +=", SOURCES["secrets.tf"])) == SOURCES["secrets.tf"].count('= "rediss://') == 3
    assert "ssl_cert_reqs=required" in SOURCES["secrets.tf"]
    assert "sslmode=verify-full" in SOURCES["secrets.tf"]


def test_no_store_is_reached_from_outside_the_cluster() -> None:
    text = code()

    assert text.count("publicly_accessible    = false") == 1
    assert "0.0.0.0/0" not in SOURCES["security_groups.tf"]
    assert 'ingress_rule" "store"' in text


def test_the_managed_broker_gives_the_exporter_the_rights_of_the_access_list() -> None:
    listed = (REPOSITORY / "deploy" / "valkey" / "users.acl").read_text()
    exporter = re.search(r"^user exporter on #EXPORTER_HASH (.*)$", listed, re.MULTILINE)

    assert exporter is not None
    assert f'access_string = "on {exporter[1]}"' in SOURCES["broker.tf"]


def test_the_managed_broker_gives_tollgate_the_commands_of_the_access_list() -> None:
    listed = (REPOSITORY / "deploy" / "valkey" / "users.acl").read_text()
    for user, more in (("tollgate", ""), ("web", " +blpop")):
        commands = re.search(rf"^user {user} on .*(-@all [^(\n]*[^ (\n])", listed, re.MULTILINE)

        assert commands is not None
        assert f'access_string = "on ~* &* {commands[1]}{more}"' in SOURCES["broker.tf"]


def test_cluster_mode_stays_off() -> None:
    assert "num_node_groups" not in SOURCES["broker.tf"]
    assert "cluster_mode" not in SOURCES["broker.tf"]
