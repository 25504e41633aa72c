"""docs/settings.md, written from the settings themselves: `python -m config.settings_reference > docs/settings.md`."""

from __future__ import annotations

import sys
from typing import Any, get_args

from config.settings import Settings

HEAD = """# Settings

Every process reads these environment variables once, at start. A value that cannot be used stops the process with
the variable's name and the reason. Times end in `_S` (seconds) or `_MS` (milliseconds), sizes in `_BYTES`.
This page is generated: `python -m config.settings_reference > docs/settings.md`.

| variable | default | type | what it does |
|---|---|---|---|
"""


def reference() -> str:
    """The whole page."""
    rows = [_row(name, field) for name, field in Settings.model_fields.items()]
    return HEAD + "\n".join(rows) + "\n"


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
