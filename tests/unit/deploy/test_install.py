"""What a stranger's first command rests on: pinned versions, make targets, the CI script."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
PIN = re.compile(r"([a-z0-9-]+)==[0-9][0-9A-Za-z.+!]*")


def pinned() -> set[str]:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    return {match[1] for line in lines if (match := PIN.fullmatch(line))}


def normalized(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", requirement)[0]).lower()  # type: ignore[index]


def test_every_line_of_the_constraints_is_an_exact_version() -> None:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()

    assert [line for line in lines if not line.startswith("#") and not PIN.fullmatch(line)] == []


def test_every_declared_dependency_is_pinned() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]

    assert {normalized(requirement) for requirement in declared} - pinned() == set()


# What runs from a checkout or is mounted into a container, and is in no wheel.
OUTSIDE_THE_WHEEL = {".sh", ".acl", ".conf", ".tf", ".example", ".env", "Dockerfile", "Jenkinsfile"}


def test_the_wheel_that_images_install_holds_every_data_file() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]
    packed = {path for top, globs in patterns.items() for glob in globs for path in (REPOSITORY / top).glob(glob)}
    data = {
        path
        for top in ("config", "ml", "workers", "web", "deploy")
        for path in (REPOSITORY / top).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts
    }

    data -= set((REPOSITORY / "deploy" / "docker").glob("hashes-*.txt"))
    assert {path for path in data - packed if not OUTSIDE_THE_WHEEL & {path.suffix, path.name}} == set()


def test_make_lists_the_targets_that_the_readme_promises() -> None:
    done = subprocess.run(["make", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True)

    for target in ("run", "test", "check", "bench", "demo", "help", "clean"):
        assert re.search(rf"^  make {target}\s+\S", done.stdout, re.MULTILINE), target


def test_continuous_integration_runs_the_readmes_test_command() -> None:
    script = REPOSITORY / ".ci" / "run"

    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text()
    assert "make test" in (REPOSITORY / "README.md").read_text()


def test_setup_scripts_are_valid_shell() -> None:
    scripts = [*sorted((REPOSITORY / "deploy" / "setup").glob("*.sh")), REPOSITORY / ".ci" / "run"]

    assert scripts
    for script in scripts:
        done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
