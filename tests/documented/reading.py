"""Working through a page: its commands in order, what each prints held against what stands below it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.documented import answers
from tests.documented.pages import Block, blocks
from tests.documented.proofs import proof_of
from tests.documented.site import Site


def to_run(page: Path) -> list[Block]:
    """The blocks of a page with a command that no other test runs."""
    return [block for block in blocks(page) if _own(block)]


def work_through(site: Site, page: Path) -> None:
    """Run every command of a page that no other test runs; fails with the page and line."""
    for block in to_run(page):
        where = f"{block.page}:{block.line}"
        done = [_run(site, where, command) for command in _own(block)]
        if block.answer is not None:
            lacking = answers.difference(*block.answer, _seen(block, done))
            assert lacking is None, f"{where}: {lacking}"


def _own(block: Block) -> list[str]:
    return [command for command in block.commands if proof_of(block.page, command) is None]


def _seen(block: Block, done: list[subprocess.CompletedProcess[str]]) -> str:
    """What a reader's terminal shows; of JSON only standard output."""
    is_json = block.answer is not None and block.answer[0] == "json"
    return "".join(one.stdout if is_json else one.stdout + one.stderr for one in done)


def _run(site: Site, where: str, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command that must end well; no request may be answered by a problem."""
    done = site.run(command)

    assert done.returncode == 0, f"{where}: {command}\n{done.stdout}\n{done.stderr}"
    assert "/problems/" not in done.stdout, f"{where}: {command}\n{done.stdout}"
    return done
