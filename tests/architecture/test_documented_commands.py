"""Every command in the documentation is run by a test, and what stands in a sentence could be."""

from __future__ import annotations

import re
import shlex

import click

from config.settings import Settings
from deploy.cli import main
from tests.documented.pages import REPOSITORY, blocks, pages
from tests.documented.proofs import PROOFS, proof_of

MAKEFILE = (REPOSITORY / "Makefile").read_text("utf-8")
SENTENCES = [(str(page.relative_to(REPOSITORY)), page.read_text("utf-8")) for page in pages()]
NEVER_RUN_BY_THE_PAGES = re.compile(r"(make|docker|kubectl|aws|helm|terraform|git|pip|tollgate up|tollgate demo)\b")
"""Needs a checkout, a cluster or a terminal of its own."""
A_NAME_TO_CHOOSE = "r000N_what.py"


def inline(pattern: str) -> list[tuple[str, str]]:
    """Page and text of every piece of code in a sentence that begins so."""
    return [(name, found) for name, text in SENTENCES for found in re.findall(rf"`({pattern}[^`\n]*)`", text)]


def test_every_proof_names_a_test_that_exists() -> None:
    for proof in PROOFS:
        path, _, name = proof.test.partition("::")
        assert re.search(rf"^def {name}\(", (REPOSITORY / path).read_text("utf-8"), re.MULTILINE), proof.test


def test_every_proof_is_of_a_command_that_is_printed() -> None:
    printed = [(block.page, command) for page in pages() for block in blocks(page) for command in block.commands]
    used = {proof_of(page, command) for page, command in printed}

    assert [proof.command for proof in PROOFS if proof not in used] == []


def test_a_command_that_the_pages_test_cannot_run_has_a_proof() -> None:
    printed = {(block.page, command) for page in pages() for block in blocks(page) for command in block.commands}

    wanting = [(page, command) for page, command in printed if NEVER_RUN_BY_THE_PAGES.match(command)]
    assert len(wanting) > 20
    assert sorted((page, command) for page, command in wanting if proof_of(page, command) is None) == []


def test_the_pages_with_commands_are_found() -> None:
    found = {(block.page, command) for page in pages() for block in blocks(page) for command in block.commands}

    assert {"README.md", "CONTRIBUTING.md", "docs/guide/2-one-payment.md"} <= {page for page, _ in found}
    assert ("docs/bulk.md", "gzip -c payments.csv > payments.csv.gz") in found, "an indented block"
    assert ("docs/operations.md", "docker compose up --build") in found, "a fenced one"


def test_a_command_in_a_sentence_exists_with_the_options_it_names() -> None:
    named = inline("tollgate ")

    assert len(named) > 50
    assert [(page, text) for page, text in named if "COMMAND" not in text and not is_a_command(text)] == []


def is_a_command(text: str) -> bool:
    words = shlex.split(text)[1:]
    command: click.Command | None = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        command, words = command.get_command(click.Context(command), words[0]), words[1:]
    if command is None:
        return False
    options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    return all(word.partition("=")[0] in options for word in words if word.startswith("--"))


def test_a_target_in_a_sentence_exists() -> None:
    targets = {text.split()[1] for _, text in inline("make ")}

    assert sorted(target for target in targets if not re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)) == []


def test_every_setting_that_a_page_names_exists() -> None:
    known = {f"TOLLGATE_{name.upper()}" for name in Settings.model_fields}
    of_others = {"TOLLGATE_VERSION", "TOLLGATE_TEST_DATA", "TOLLGATE_SCREENSHOTS"}  # of Compose and of the tests
    named = {(page, name) for page, text in SENTENCES for name in re.findall(r"\bTOLLGATE_[A-Z0-9_]+[A-Z0-9]\b", text)}

    assert sorted((page, name) for page, name in named if name not in known | of_others) == []


def test_what_a_page_says_is_on_the_disk_is_there() -> None:
    """Paths of this repository that pages name, such as `deploy/prometheus/rules.yml`."""
    tops = "config|ml|workers|web|deploy|tests|docs"
    named = {
        (page, path)
        for page, text in SENTENCES
        for path in re.findall(rf"`((?:{tops})/[\w./-]+\.(?:py|md|yml|yaml|toml|lua|json))`", text)
    }

    gone = sorted((page, path) for page, path in named if not (REPOSITORY / path).exists())
    assert [(page, path) for page, path in gone if not path.endswith(A_NAME_TO_CHOOSE)] == []
