"""Every command that a page prints does, on the running stack and in the order of the page, what the page says.

Which commands other tests run is in tests/documented/proofs.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.documented.pages import REPOSITORY, pages
from tests.documented.reading import to_run, work_through
from tests.documented.site import SEED_PAYMENT, Known, make_known, make_site
from tests.e2e.running_stack import RunningStack

pytestmark = pytest.mark.slow

GUIDE = REPOSITORY / "docs" / "guide"
BACKUP = REPOSITORY / "docs" / "how-to" / "backup.md"
LEAN = {"TOLLGATE_EXPORTER_ENABLED": "false", "TOLLGATE_MLFLOW_ENABLED": "false", "TOLLGATE_SCORING_WORKERS": "1"}
LIMIT_S = 120.0
BEATS_LOCK = "tollgate:beat::lock"
"""Copied with all else; the copy's beat would wait for half a minute until it expires."""


def stories() -> Iterator[tuple[str, list[Path]]]:
    """Pages to work through, each by itself; those of the guide go on from each other."""
    with_commands = [page for page in pages() if to_run(page) and page != BACKUP]
    yield "the guide", [page for page in with_commands if page.parent == GUIDE]
    for page in with_commands:
        if page.parent != GUIDE:
            yield str(page.relative_to(REPOSITORY)), [page]


STORIES = dict(stories())


@pytest.fixture(scope="module")
def known(stack: RunningStack) -> Known:
    return make_known(stack)


@pytest.mark.parametrize("story", STORIES)
def test_the_commands_of_a_page_work_as_printed(stack: RunningStack, known: Known, tmp_path: Path, story: str) -> None:
    site = make_site(tmp_path / "reader", stack, known)

    for page in STORIES[story]:
        work_through(site, page)


def test_a_copy_of_what_runs_comes_up_elsewhere(stack: RunningStack, known: Known, tmp_path: Path) -> None:
    """Work is on its way while docs/how-to/backup.md is done; afterwards all of it is there, once."""
    answered = {one: scored(stack, one, "wait=20") for one in (f"backup-{number}" for number in range(10))}
    later = [f"backup-later-{number}" for number in range(20)]
    for one in later:
        scored(stack, one, "respond-async")
    batch_id = submitted(stack, 300)

    site = make_site(tmp_path / "reader", stack, known)
    work_through(site, BACKUP)
    restored = RunningStack(site.home / "restored", LEAN)
    restored.start()
    with Redis.from_url(restored.redis_url) as client:
        client.delete(BEATS_LOCK)

    try:
        for one, decision in answered.items():
            assert restored.get(f"/predictions/{one}") == (200, decision)
        restored.wait_until(lambda: all(restored.get(f"/predictions/{one}")[0] == 200 for one in later), LIMIT_S)
        restored.wait_until(lambda: restored.get(f"/batches/{batch_id}")[1]["status"] == "completed", LIMIT_S)
        assert restored.get("/health")[1]["champion"]["digest"] == stack.get("/health")[1]["champion"]["digest"]
        assert restored.tollgate("audit", "verify").returncode == 0
    finally:
        restored.stop()


def scored(stack: RunningStack, transaction_id: str, preference: str) -> Any:
    payment = {**SEED_PAYMENT, "transaction_id": transaction_id}
    status, answer = stack.post("/predict", payment, {"Prefer": preference})
    assert status in (200, 202), answer
    return answer


def submitted(stack: RunningStack, rows: int) -> str:
    lines = "\n".join(json.dumps({**SEED_PAYMENT, "transaction_id": f"backup-row-{row}"}) for row in range(rows))
    status, batch = stack.request("POST", "/batches", lines.encode(), {"Content-Type": "application/x-ndjson"})
    assert status == 202, batch
    batch_id: str = batch["id"]
    return batch_id
