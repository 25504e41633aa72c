"""What mkdocs asks while it builds the site: the list of ADRs, and lists as GitHub reads them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ADRS = "adr/*"
TITLE = re.compile(r"# (\d+)\. (.+)")
FENCE = re.compile(r"\s*(```|~~~)")
ITEM = re.compile(r"([-*]|\d+\.) ")


def on_config(config: Any) -> Any:
    """Put every ADR into the navigation, in order: a new one needs no line there."""
    config.nav = _filled(config.nav, sorted(Path(config.docs_dir).glob("adr/[0-9]*.md")))
    return config


def _filled(entry: Any, adrs: list[Path]) -> Any:
    if entry == ADRS:
        return [{_title(path): f"adr/{path.name}"} for path in adrs]
    if isinstance(entry, dict):
        return {title: _filled(below, adrs) for title, below in entry.items()}
    return [_filled(one, adrs) for one in entry] if isinstance(entry, list) else entry


def _title(path: Path) -> str:
    head = TITLE.match(path.read_text("utf-8"))
    if head is None:
        raise ValueError(f"{path.name} does not begin with `# NUMBER. TITLE`")
    return f"{int(head[1])}. {head[2]}"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A list may follow its sentence at once, as on GitHub: Python-Markdown wants an empty line between them."""
    lines: list[str] = []
    inside = False
    for line in markdown.splitlines():
        if ITEM.match(line) and not inside and lines and _ends_a_sentence(lines[-1]):
            lines.append("")
        inside ^= bool(FENCE.match(line))
        lines.append(line)
    return "\n".join(lines)


def _ends_a_sentence(line: str) -> bool:
    """Whether a line above an item is neither empty nor part of a list itself."""
    return bool(line.strip()) and not line.startswith(" ") and not ITEM.match(line)
