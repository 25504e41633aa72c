"""deploy/ci: pipelines call make targets that exist, and GitHub's file is one that GitHub takes."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema
from jsonschema.validators import validator_for

from tests.deployment_files import REPOSITORY

PIPELINES = REPOSITORY / "deploy" / "ci"
TARGETS = set(re.findall(r"^([a-z-]+):.*##", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", ["github-actions.yml", "Jenkinsfile"])
def test_a_pipeline_runs_the_make_targets(name: str) -> None:
    called = set(re.findall(r"\bmake ([a-z-]+)", (PIPELINES / name).read_text())) - {"targets"}

    assert called == {"check", "audit", "test", "images", "terraform"}
    assert called <= TARGETS


def test_githubs_pipeline_is_along_its_schema_and_may_only_read() -> None:
    workflow = yaml.safe_load((PIPELINES / "github-actions.yml").read_text())
    # YAML 1.1 reads the key `on` as true.
    workflow["on"] = workflow.pop(True)
    schema: Any = get_builtin_schema("vendor.github-workflows")

    assert [one.message for one in validator_for(schema)(schema).iter_errors(workflow)] == []
    assert workflow["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


def test_the_tests_run_on_the_versions_of_python_that_tollgate_supports() -> None:
    workflow = yaml.safe_load((PIPELINES / "github-actions.yml").read_text())

    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
