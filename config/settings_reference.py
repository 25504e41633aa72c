"""docs/settings.md, written from the settings themselves: `python -m config.settings_reference > docs/settings.md`."""

from __future__ import annotations

import sys
from typing import Any, get_args

from pydantic import BaseModel

from config.settings import GROUPS, Settings

HEAD = """# Settings

Every process reads these environment variables once, at start. A value that cannot be used stops the process with
the variable's name and the reason. Times end in `_S` (seconds) or `_MS` (milliseconds), sizes in `_BYTES`.
This page is generated: `python -m config.settings_reference > docs/settings.md`.
"""
COLUMNS = "| variable | default | type | what it does |\n|---|---|---|---|\n"


def reference() -> str:
    """The whole page: a section for each group."""
    return HEAD + "".join(_section(group) for group in GROUPS)


def _section(group: type[BaseModel]) -> str:
    rows = [_row(name, Settings.model_fields[name]) for name in group.model_fields]
    return f"\n## {(group.__doc__ or '').removesuffix('.')}\n\n{COLUMNS}" + "\n".join(rows) + "\n"


def _row(name: str, field: Any) -> str:
    cells = (f"`TOLLGATE_{name.upper()}`", _default(field.default), _type(field.annotation), field.description)
    return "| " + " | ".join(cells) + " |"


def _default(value: object) -> str:
    text = str(value)
    shipped = text.rpartition("/config/")[2]
    return f"`config/{shipped}`" if "/config/" in text else f"`{text}`" if text else "none"


def _type(annotation: Any) -> str:
    choices = get_args(annotation)
    if choices and all(isinstance(choice, str) for choice in choices):
        return ", ".join(f"`{choice}`" for choice in choices)
    return getattr(annotation, "__name__", str(annotation)).lower()


if __name__ == "__main__":
    sys.stdout.write(reference())
