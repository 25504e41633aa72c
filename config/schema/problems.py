"""The mistakes found in a schema file, gathered so that all are reported at once, each with its line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from config.errors import FieldError
from config.schema.lines import Path, line_of


def pointer(*parts: str) -> str:
    """A JSON pointer (RFC 6901) to `parts`: `a/b` becomes `/a~1b`. Safe to encode as UTF-8."""
    escaped = (part.replace("~", "~0").replace("/", "~1") for part in parts)
    return "".join(f"/{part}" for part in escaped).encode("utf-8", "replace").decode()


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?` for the known name nearest to `name`, empty when none is near."""
    folded: dict[str, str] = {}
    for one in known:
        folded.setdefault(one.casefold(), one)
    near = difflib.get_close_matches(name[:100].casefold(), folded, n=1, cutoff=0.6)
    return f'; did you mean "{folded[near[0]]}"?' if near else ""


class Problems:
    """Collects mistakes by their path in the file."""

    def __init__(self, found: Mapping[Path, int]) -> None:
        self._found = found
        self._items: list[tuple[int, FieldError]] = []

    def __len__(self) -> int:
        return len(self._items)

    def line(self, path: Path) -> int:
        """The line of the table or key at `path`."""
        return line_of(path, self._found)

    def add(self, path: Path, code: str, message: str) -> None:
        """Note one mistake."""
        line = self.line(path)
        self._items.append((line, FieldError(pointer(*path), code, f"line {line}: {message}")))

    def errors(self) -> tuple[FieldError, ...]:
        """All mistakes, in the order of their lines."""
        return tuple(error for _, error in sorted(self._items, key=lambda item: item[0]))
