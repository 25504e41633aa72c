"""The deployment files as their own tools see them: hadolint, Kustomize, Terraform, the shell.

hadolint comes with the test tools. kubectl and terraform are used where they are: no package registry that the set-up
may use has a kubectl with a current Kustomize, or Terraform (docs/deployment.md).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from tests.deployment_files import KUBERNETES, REPOSITORY, load_manifests

VERSION = "1.34"
OLDEST_KUSTOMIZE = (5, 0)
RENDERED = ("base", "overlays/small", "overlays/production")
# Custom resources, whose schemas no package ships; tests/unit/deploy/test_kubernetes.py looks at what they say.
CUSTOM = {"ScaledObject", "PodMonitor"}
WORKLOADS = ("Deployment", "StatefulSet", "Job")


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, cwd=REPOSITORY)


@cache
def kubectl() -> str:
    """kubectl with a Kustomize that knows `labels`, `patches` and `replicas`; skips the test without one."""
    found = shutil.which("kubectl")
    if found is None:
        pytest.skip("kubectl is not installed")
    version = json.loads(run(found, "version", "--client", "--output=json").stdout).get("kustomizeVersion", "v0.0")
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < OLDEST_KUSTOMIZE:
        pytest.skip(f"kubectl's Kustomize {version} is older than 5.0")
    return found


@cache
def rendered(directory: str) -> tuple[dict[str, Any], ...]:
    done = run(kubectl(), "kustomize", KUBERNETES / directory)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr
    return tuple(load_manifests(done.stdout))


def workloads(directory: str) -> list[dict[str, Any]]:
    return [one for one in rendered(directory) if one["kind"] in WORKLOADS]


def pod_of(workload: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = workload["spec"]["template"]["spec"]
    return pod


def test_hadolint_accepts_the_dockerfile() -> None:
    done = run(Path(sys.executable).with_name("hadolint"), "deploy/docker/Dockerfile")

    assert done.returncode == 0, done.stdout


def test_terraform_finds_its_files_formatted() -> None:
    terraform = shutil.which("terraform")
    if terraform is None:
        pytest.skip("terraform is not installed")

    done = run(terraform, "fmt", "-check", "-recursive", "deploy/terraform")

    assert done.returncode == 0, done.stdout + done.stderr


def test_everything_rendered_is_what_kubernetes_knows() -> None:
    # A document that both overlays have is looked at once: each look reads its schema anew.
    distinct = {json.dumps(document): document for directory in RENDERED[1:] for document in rendered(directory)}

    for document in distinct.values():
        if document["kind"] not in CUSTOM:
            kubernetes_validate.validate(document, VERSION, strict=True)


@pytest.mark.parametrize("directory", RENDERED)
def test_every_pod_meets_the_restricted_pod_security_standard(directory: str) -> None:
    for workload in workloads(directory):
        pod, only = pod_of(workload), pod_of(workload)["containers"][0]
        name = workload["metadata"]["name"]
        assert len(pod["containers"]) == 1, name
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert only["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert all("hostPath" not in volume for volume in pod.get("volumes", [])), name


@pytest.mark.parametrize("directory", RENDERED)
def test_every_pod_has_probes_limits_a_pinned_image_and_mounts_what_it_declares(directory: str) -> None:
    for workload in workloads(directory):
        pod, only = pod_of(workload), pod_of(workload)["containers"][0]
        name = workload["metadata"]["name"]
        assert re.search(r":v?\d+\.\d+", only["image"]), name
        assert only["resources"]["requests"]["memory"], name
        assert only["resources"]["limits"]["memory"], name
        assert "livenessProbe" in only or workload["kind"] == "Job", name
        declared = {volume["name"] for volume in pod.get("volumes", [])}
        declared |= {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])}
        assert {mount["name"] for mount in only["volumeMounts"]} == declared, name


@pytest.mark.parametrize("directory", RENDERED)
def test_an_upgrade_never_takes_a_server_or_worker_away_before_the_next_one_works(directory: str) -> None:
    for workload in workloads(directory):
        if workload["metadata"]["labels"].get("tollgate/image") == "ours" and workload["kind"] == "Deployment":
            assert workload["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_web_and_workers_keep_apart_from_their_like() -> None:
    apart = [one for one in workloads("base") if "affinity" in pod_of(one)]

    assert {one["metadata"]["name"] for one in apart} == {"web", "scoring", "bulk", "background", "training"}
    for workload in apart:
        [term] = pod_of(workload)["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
        assert term["podAffinityTerm"]["matchLabelKeys"] == ["app.kubernetes.io/component"]
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert term["podAffinityTerm"]["labelSelector"]["matchLabels"].items() <= labels.items()


@pytest.mark.parametrize("directory", RENDERED)
def test_whatever_is_named_is_there(directory: str) -> None:
    documents = rendered(directory)
    by_kind: dict[str, set[str]] = {}
    for document in documents:
        by_kind.setdefault(document["kind"], set()).add(document["metadata"]["name"])
    text = json.dumps(documents)

    assert set(re.findall(r'"claimName": "([^"]+)"', text)) <= by_kind["PersistentVolumeClaim"]
    assert set(re.findall(r'"configMap(?:Ref)?": {"name": "([^"]+)"', text)) <= by_kind["ConfigMap"]
    assert set(re.findall(r'"secretKeyRef": {"key": "[^"]+", "name": "([^"]+)"', text)) == {"tollgate-secrets"}
    for budget in (one for one in documents if one["kind"] == "PodDisruptionBudget"):
        assert budget["metadata"]["name"] in by_kind["Deployment"]


@pytest.mark.parametrize("directory", ["overlays/small", "overlays/production"])
def test_nothing_is_open_but_along_the_lines_drawn(directory: str) -> None:
    policies = [one for one in rendered(directory) if one["kind"] == "NetworkPolicy"]
    closed = next(one["spec"] for one in policies if one["metadata"]["name"] == "nothing-else")

    assert closed["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in closed
    assert "egress" not in closed
    for policy in policies:
        for rule in policy["spec"].get("ingress", []) + policy["spec"].get("egress", []):
            assert rule["ports"], policy["metadata"]["name"]
            assert rule.get("from") or rule.get("to"), policy["metadata"]["name"]


def test_with_the_managed_broker_there_is_none_in_the_cluster(tmp_path: Path) -> None:
    overlay, component = (
        os.path.relpath(KUBERNETES / directory, tmp_path)
        for directory in ("overlays/production", "components/elasticache")
    )
    (tmp_path / "kustomization.yaml").write_text(f"resources: [{overlay}]\ncomponents: [{component}]\n")

    done = run(kubectl(), "kustomize", tmp_path)

    assert done.returncode == 0, done.stderr
    names = {(one["kind"], one["metadata"]["name"]) for one in load_manifests(done.stdout)}
    assert not {("StatefulSet", "valkey"), ("Service", "valkey"), ("NetworkPolicy", "valkey-serves-ours")} & names
    assert ("NetworkPolicy", "ours-reach-elasticache") in names


def test_an_autoscaled_deployment_names_no_number_of_its_own() -> None:
    documents = rendered("overlays/production")
    scaled = {
        one["spec"]["scaleTargetRef"]["name"]
        for one in documents
        if one["kind"] in ("ScaledObject", "HorizontalPodAutoscaler")
    }

    assert scaled == {"web", "scoring", "bulk"}
    for document in documents:
        if document["kind"] == "Deployment":
            assert ("replicas" in document["spec"]) is (document["metadata"]["name"] not in scaled)
