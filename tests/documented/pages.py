"""Every command that the documentation prints: blocks of README.md, CONTRIBUTING.md and docs/ (ADRs are history)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SHELL = ("sh", "bash", "shell", "console")
# What a line of an indented block begins with when it is a command and no formula, drawing or setting.
PROGRAMS = re.compile(
    r"(aws|cat|cd|cmp|cp|curl|docker|git|gzip|helm|kubectl|make|mkdir|openssl|pg_dump|pip|python|sqlite3|tail|terraform"
    r"|tollgate) "
)
FENCE = re.compile(r"( *)```(\w*)\s*$")
COMMENT = re.compile(r"\s+# .*$")


@dataclass(frozen=True)
class Block:
    """Lines of one shell block. `answer`: the block right below, as (language, text), where there is one."""

    page: str
    line: int
    commands: tuple[str, ...]
    answer: tuple[str, str] | None = None


@dataclass
class _Fenced:
    language: str
    line: int
    end: int
    lines: list[str] = field(default_factory=list)


def pages() -> list[Path]:
    """Every page, README first."""
    first = [path for name in ("README.md", "CONTRIBUTING.md") if (path := REPOSITORY / name).exists()]
    written = sorted((REPOSITORY / "docs").rglob("*.md"))
    return [*first, *(path for path in written if path.parent.name != "adr")]


def blocks(path: Path) -> list[Block]:
    """The shell blocks of a page in its order, fenced or indented, each command without its comment."""
    lines = path.read_text("utf-8").splitlines()
    name = str(path.relative_to(REPOSITORY))
    fenced = list(_fenced(lines))
    found = [
        Block(name, one.line, commands(one.lines), _answer_below(one, fenced, lines))
        for one in fenced
        if one.language in SHELL
    ]
    inside = {number for one in fenced for number in range(one.line - 1, one.end + 1)}
    found += [Block(name, line, commands(taken)) for line, taken in _indented(lines, inside)]
    return sorted(found, key=lambda block: block.line)


def commands(lines: list[str]) -> tuple[str, ...]:
    """One text per command: continued lines joined, comments and empty lines left out."""
    joined = re.sub(r"\\\n\s*", "", "\n".join(line.strip() for line in lines))
    return tuple(command for line in joined.splitlines() if (command := COMMENT.sub("", line).strip()))


def _fenced(lines: list[str]) -> Iterator[_Fenced]:
    block: _Fenced | None = None
    for number, line in enumerate(lines):
        fence = FENCE.match(line)
        if block is None and fence:
            block = _Fenced(fence[2], number + 2, number)
        elif block is not None and fence and not fence[2]:
            block.end = number
            yield block
            block = None
        elif block is not None:
            block.lines.append(line)


def _answer_below(block: _Fenced, fenced: list[_Fenced], lines: list[str]) -> tuple[str, str] | None:
    """A block of JSON or text with nothing but empty lines between is what the commands printed."""
    below = next((one for one in fenced if one.line > block.end), None)
    if below is None or below.language not in ("json", "text"):
        return None
    between = lines[block.end + 1 : below.line - 2]
    return None if any(line.strip() for line in between) else (below.language, "\n".join(below.lines))


def _indented(lines: list[str], inside: set[int]) -> Iterator[tuple[int, list[str]]]:
    """Indented blocks that begin with a program's name."""
    taken: list[str] = []
    for number, line in enumerate([*lines, ""]):
        is_code = line.startswith("    ") and number not in inside
        if is_code and (taken or (PROGRAMS.match(line.strip()) and not lines[number - 1].strip())):
            taken.append(line)
        elif taken:
            yield number - len(taken) + 1, taken
            taken = []
