"""The deployment files as tests read them: Compose with its variables, Kubernetes manifests as documents."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
COMPOSE_FILE = REPOSITORY / "docker-compose.yml"
KUBERNETES = REPOSITORY / "deploy" / "kubernetes"
# `${NAME}`, `${NAME:-default}` and `${NAME:?message}`; `$$` is Compose's escape for a dollar.
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+)(?::([-?])([^}]*))?\}")


def load_compose() -> dict[str, Any]:
    """docker-compose.yml with its anchors resolved and its variables as they are written."""
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text("utf-8"))
    return loaded


def command_words(service: Mapping[str, Any]) -> list[str]:
    """The words of a service's command; a variable becomes VALUE."""
    command = service["command"]
    return shlex.split(VARIABLE.sub("VALUE", command)) if isinstance(command, str) else list(command)


def fill_in(text: str, given: Mapping[str, str]) -> str:
    """What Compose makes of a value: `given` first, then the default after `:-`. Raises KeyError without either."""

    def value_of(match: re.Match[str]) -> str:
        name, kind, default = match.groups()
        found = given.get(name, "")
        return found or default if kind == "-" else given[name]

    return VARIABLE.sub(value_of, text).replace("$$", "$")


def example_environment() -> dict[str, str]:
    """The variables of .env.example."""
    lines = (REPOSITORY / ".env.example").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def load_manifests(text: str) -> list[dict[str, Any]]:
    """The documents of a YAML stream."""
    return [document for document in yaml.safe_load_all(text) if document]
