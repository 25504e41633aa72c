"""deploy/docker/hashes-*.txt: the packages of the images, each in the pinned version, by the digests of its files."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.deployment_files import REPOSITORY

DOCKER = REPOSITORY / "deploy" / "docker"
ENTRY = re.compile(r"^([a-z0-9-]+)==([^ ;\\]+)[^\\\n]*\\\n((?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)
EXTRAS = {"web": ("postgres", "tracing", "aws"), "worker": ("workers", "postgres", "tracing", "aws")}
# Builds our own package; constraints.txt is for what runs.
BUILDS = {"setuptools"}


def listed(image: str) -> dict[str, str]:
    """Name -> version of everything in the image's list; nothing of the list is left over."""
    text = (DOCKER / f"hashes-{image}.txt").read_text()
    entries = list(ENTRY.finditer(text))
    assert sum(len(entry[0]) for entry in entries) == len(text)
    return {entry[1]: entry[2] for entry in entries}


@pytest.mark.parametrize("image", ["web", "worker"])
def test_every_package_of_an_image_is_pinned_by_the_digests_of_its_files(image: str) -> None:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    found = listed(image)

    wrong = {name for name, version in found.items() if name not in BUILDS and pinned.get(name) != version}
    assert wrong == set(), "run deploy/docker/make_hashes.sh"


@pytest.mark.parametrize("image", ["web", "worker"])
def test_everything_that_an_image_declares_is_in_its_list(image: str) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = [one for extra in EXTRAS[image] for one in project["optional-dependencies"][extra]]
    names = {re.split(r"[<>=!~;\[ ]", one)[0].lower().replace("_", "-") for one in [*project["dependencies"], *extras]}

    assert names - set(listed(image)) == set(), "run deploy/docker/make_hashes.sh"


def test_the_images_install_nothing_without_its_digest() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    installs = re.findall(r"pip install (.*)", text)

    assert len(installs) == 4
    for words in installs:
        # What needs no digest is our own source, and nothing is fetched to build it.
        assert "--require-hashes -r hashes-" in words or words.endswith("--force-reinstall ."), words
        assert "--require-hashes" in words or "--no-deps --no-build-isolation" in words, words
