"""The documentation as a site: builds without a warning, asks no other host for anything."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

# What a browser would fetch by itself, as opposed to links that somebody follows.
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source)[^>]+src="?(https?:)?//|<link[^>]+rel="?(?:stylesheet|preconnect|icon|preload)[^>]+href="?(https?:)?//|@import|url\(["']?(?:https?:)?//"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(target)],
        cwd=REPOSITORY,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def test_the_site_is_built_without_a_warning(site: Path) -> None:
    pages = {str(path.relative_to(site)) for path in site.rglob("*.html")}
    written = {
        str(path.relative_to(REPOSITORY / "docs").with_suffix(".html")) for path in (REPOSITORY / "docs").rglob("*.md")
    }

    assert written <= pages


def test_the_site_fetches_nothing_from_another_host(site: Path) -> None:
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]

    assert [str(page) for page in pages if FETCHED.search(page.read_text("utf-8"))] == []


def test_search_finds_every_page_without_a_server(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text("utf-8"))
    found = {entry["location"].partition("#")[0] for entry in index["docs"]}

    assert {"quickstart.html", "problems.html", "cli.html", "how-to/backup.html"} <= found


def test_lists_are_lists_and_every_adr_is_in_the_navigation(site: Path) -> None:
    home = (site / "index.html").read_text("utf-8")
    adrs = [path.stem for path in (REPOSITORY / "docs" / "adr").glob("[0-9]*.md")]

    assert [name for name in adrs if f"adr/{name}.html" not in home] == []
    assert "<li>The bundle keeps a reference" in (site / "adr" / "0018-drift-tests.html").read_text("utf-8")
