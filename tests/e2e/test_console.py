"""The console in a real Chromium, on the running stack: every page, the review queue by keyboard, a batch, a replay."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect
from redis import Redis

from config import names
from config.contracts import ScoreRow
from config.schema.load import load_schema
from config.schema.validate import compile_validator
from config.setting_groups.places import DEFAULT_SCHEMA
from tests.e2e.browser import (
    DESKTOP,
    PHONE,
    accessibility_problems,
    opened_page,
    screenshots_are_wanted,
    take_screenshot,
)
from tests.e2e.running_stack import RunningStack
from tests.e2e.second_model import add_second_model
from tests.web_app import PAYMENT
from web.console.navigation import NAVIGATION
from web.identifiers import new_id

pytestmark = pytest.mark.slow

LIMIT_S = 60.0
LIMIT_MS = 1000 * LIMIT_S
BATCH_ROWS = 200
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"size": DESKTOP, "color_scheme": "light"},
    "dark": {"size": DESKTOP, "color_scheme": "dark"},
    "phone": {"size": PHONE, "color_scheme": "light", "reduced_motion": "reduce"},
}
SHOWN = {
    "light": ("overview", "decisions", "decision", "reviews", "model", "quality", "thresholds", "drift"),
    "dark": ("overview", "reviews", "quality"),
    "phone": ("overview", "reviews"),
}
"""The pages whose pictures are in docs/."""


@dataclass(frozen=True)
class Traffic:
    """What was scored: transaction ids to review, and one decision that names an account."""

    to_review: list[str]
    decision_id: str


@pytest.fixture(scope="module")
def traffic(stack: RunningStack) -> Traffic:
    """Payments of many amounts, hours and kinds, until some of them are to be reviewed; all in the ledger."""
    if screenshots_are_wanted():
        # Pages are worth showing once some minutes of a day have gone through them.
        assert stack.tollgate("demo", "--duration", "150").returncode == 0
    decided = [_score(stack, amount=amount, hour=hour, merchant_category=kind) for amount, hour, kind in _KINDS]
    to_review = [one["transaction_id"] for one in decided if one["action"] == "review"]
    account = {"amount": 900.0, "merchant_category": "online", "account_id": new_id(), "merchant_id": "m-1"}
    for at in ("2026-03-03T02:00:00Z", "2026-03-03T02:30:00Z"):
        status, last = stack.post("/predict?explain=true", {**account, "timestamp": at})
        assert status == 200
    stack.wait_until(lambda: stack.get(f"/decisions/{last['decision_id']}")[0] == 200, LIMIT_S)
    assert len(to_review) >= 2, "the model reviews something between what it approves and what it declines"
    return Traffic(to_review, last["decision_id"])


_KINDS = list(product((60.0, 150.0, 300.0, 450.0, 700.0), (2, 13), ("online", "electronics", "travel", "grocery")))


def _score(stack: RunningStack, **changed: Any) -> Any:
    status, decision = stack.post("/predict", {**PAYMENT, **changed, "transaction_id": new_id()})
    assert status == 200, decision
    return decision


@pytest.fixture(scope="module")
def second_model(stack: RunningStack) -> str:
    """A bundle that can be promoted; the champion is the first one again when all is done."""
    return add_second_model(stack.data_dir / "models", stack.get("/health")[1]["model_version"])


@pytest.fixture
def page(browser: Browser, stack: RunningStack) -> Iterator[Page]:
    with opened_page(browser, stack.url) as opened:
        opened.set_default_timeout(LIMIT_MS)
        yield opened


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_can_be_used_by_everyone(
    browser: Browser, stack: RunningStack, traffic: Traffic, second_model: str, look: str
) -> None:
    pages = [(link.path, link.name) for link in NAVIGATION]
    pages += [(f"/console/decisions/{traffic.decision_id}", "decision"), ("/console/decisions/nobody", "problem")]
    if look == "light":
        pages += [(f"/console/models?model={second_model}", "model"), ("/console/quality?by=week", "weeks")]
    found: dict[str, list[str]] = {}
    with opened_page(browser, stack.url, may_fail="404", **LOOKS[look]) as page:
        for path, name in pages:
            page.goto(f"{stack.url}{path}")
            _wait_until_alive(page)
            found[name] = accessibility_problems(page)
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                found[name].append("wider than its window")
            if name in SHOWN[look]:
                take_screenshot(page, f"console-{name}-{look}")

    assert found == {name: [] for _, name in pages}


def _wait_until_alive(page: Page) -> None:
    """What keeps itself up to date has been answered once."""
    for mark in ("live", "asked"):
        if page.locator(f"[data-{mark}]").count():
            page.locator(f'[data-{mark}="on"]').first.wait_for()


def test_the_overview_shows_traffic_as_it_comes(page: Page, stack: RunningStack, traffic: Traffic) -> None:
    page.goto(f"{stack.url}/console")
    for _ in range(10):
        _score(stack)

    expect(page.locator("[data-value=requests]")).not_to_have_text(re.compile(r"^0(\.0)?$"), timeout=LIMIT_MS)
    assert page.locator(".uplot canvas").count() == 3
    expect(page.locator("[data-rows=workers]")).to_contain_text("scoring-1")
    assert "unknown" not in str(page.locator("#traffic").get_attribute("aria-label"))
    expect(page.locator("[data-banner]")).to_be_hidden()


def test_a_verdict_from_the_keyboard_can_be_taken_back_and_is_stored(
    page: Page, stack: RunningStack, traffic: Traffic
) -> None:
    page.goto(f"{stack.url}/console/reviews?order=age")
    chosen = page.locator("#cases [aria-current=true]")
    chosen.wait_for()
    first = str(chosen.get_attribute("data-id"))

    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.keyboard.press("f")
    expect(page.locator("[data-pending]")).to_contain_text("fraud")
    expect(chosen).not_to_have_attribute("data-id", first)
    page.keyboard.press("u")
    expect(chosen).to_have_attribute("data-id", first)
    page.keyboard.press("j")
    expect(chosen).not_to_have_attribute("data-id", first)
    page.keyboard.press("k")
    expect(chosen).to_have_attribute("data-id", first)
    page.keyboard.press("g")
    expect(page.locator("[data-pending]")).to_contain_text("genuine")
    # Leaving the page sends what still waits.
    page.goto(f"{stack.url}/console")

    path = f"/decisions/{first}"
    stack.wait_until(lambda: bool(stack.get(path)[1]["labels"]), LIMIT_S)
    [label] = stack.get(path)[1]["labels"]
    assert (label["is_fraud"], label["source"]) == (False, "manual_review")
    open_now = [one["case"]["decision"]["decision_id"] for one in stack.get("/reviews?limit=500")[1]["reviews"]]
    assert first not in open_now


def test_a_case_that_one_reviewer_looks_at_is_marked_for_the_other(
    browser: Browser, page: Page, stack: RunningStack, traffic: Traffic
) -> None:
    page.goto(f"{stack.url}/console/reviews")
    page.locator("#cases [aria-current=true]").wait_for()
    page.locator("#case .reasons, #case .quiet").first.wait_for()
    mine = page.locator("#cases [aria-current=true]").get_attribute("data-id")

    with opened_page(browser, stack.url, may_fail="409") as other:
        other.goto(f"{stack.url}/console/reviews")
        other.locator(f'#cases [data-id="{mine}"][data-held]').wait_for()


def test_a_file_from_the_browser_is_scored_and_taken_away(page: Page, stack: RunningStack, tmp_path: Path) -> None:
    rows = [{**PAYMENT, "amount": 10.0 + number} for number in range(BATCH_ROWS)] + [{**PAYMENT, "hour": 99}]
    upload = tmp_path / "payments.csv"
    with upload.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(PAYMENT))
        writer.writeheader()
        writer.writerows(rows)

    page.goto(f"{stack.url}/console/batches")
    page.set_input_files("#file", upload)
    page.get_by_role("button", name="Upload").click()
    page.wait_for_url("**/console/batches/*")
    page.locator('[data-status="completed"]').wait_for()
    take_screenshot(page, "console-batch-light")
    assert accessibility_problems(page) == []
    with page.expect_download() as taken:
        page.get_by_role("link", name="Results, CSV").click()
    results = list(csv.DictReader(Path(taken.value.path()).read_text("utf-8").splitlines()))
    with page.expect_download() as refused:
        page.get_by_role("link", name="Refused rows").click()

    assert [int(row["row"]) for row in results] == list(range(1, BATCH_ROWS + 1))
    assert '"hour"' in Path(refused.value.path()).read_text("utf-8")


def test_a_replay_asked_for_from_its_page_finds_the_same_to_the_bit(
    page: Page, stack: RunningStack, traffic: Traffic
) -> None:
    page.goto(f"{stack.url}/console/decisions/{traffic.decision_id}")

    page.get_by_role("button", name="Replay").click()

    page.locator('#replay[data-status="done"]').wait_for()
    expect(page.locator("#replay .mark")).to_have_text("identical")


def test_each_workers_answer_to_a_promotion_a_reload_and_a_rollback_is_on_the_page(
    page: Page, stack: RunningStack, second_model: str
) -> None:
    first = stack.get("/health")[1]["model_version"]
    page.goto(f"{stack.url}/console/models")

    _ask_for(page, f"Promote {second_model}", "Promote", overrule=True)
    expect(page.locator('[data-rows="answers"] tr')).to_have_count(3)
    expect(page.locator('[data-rows="answers"]')).to_contain_text("scoring-1")
    expect(page.locator('[data-rows="answers"] td.mono:text-is("payment-challenger")')).to_have_count(3)
    _ask_for(page, "Reload", "Reload")
    expect(page.locator('[data-answer="state"]')).to_have_text("all agreed")
    expect(page.locator('[data-rows="answers"] .mark-good')).to_have_count(3)
    take_screenshot(page, "console-reload-light")
    _ask_for(page, "Roll back", "Roll back")
    expect(page.locator(f'[data-rows="answers"] td.mono:text-is("{first}")')).to_have_count(3)

    assert stack.get("/health")[1]["model_version"] == first
    page.reload()
    expect(page.locator(".events")).to_contain_text("rolled back")


def test_a_model_scores_beside_the_champion_until_the_page_ends_it(
    page: Page, stack: RunningStack, second_model: str
) -> None:
    page.goto(f"{stack.url}/console/models")

    _ask_for(page, f"Shadow {second_model}", "Shadow")
    expect(page.locator('[data-rows="answers"]')).to_contain_text(f"{second_model} shadow", timeout=LIMIT_MS)
    page.reload()
    expect(page.locator("[aria-labelledby=beside-title]")).to_contain_text("decides nothing")
    _ask_for(page, "End the shadow", "End")

    stack.wait_until(lambda: stack.get("/models")[1]["challenger"] is None, LIMIT_S)


def _ask_for(page: Page, button: str, verb: str, *, overrule: bool = False) -> None:
    """Press a button, and say yes to what it asks."""
    page.get_by_role("button", name=button, exact=True).click()
    dialog = page.get_by_role("dialog")
    if overrule:
        dialog.get_by_role("checkbox").check()
    assert accessibility_problems(page) == []
    dialog.get_by_role("button", name=verb, exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_no_changes_nothing(page: Page, stack: RunningStack) -> None:
    page.goto(f"{stack.url}/console/models")

    page.get_by_role("button", name="Retrain").click()
    page.keyboard.press("Escape")

    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("#answers")).to_be_hidden()
    assert stack.get("/retrain")[1]["status"] == "idle"


def test_a_dead_letter_is_replayed_and_decided(page: Page, stack: RunningStack) -> None:
    transaction_id = _dead_letter(stack)
    page.goto(f"{stack.url}/console/operations")
    expect(page.locator("[data-faults]")).to_contain_text("Refused: overloaded")
    take_screenshot(page, "console-dead-letters-light")

    page.get_by_role("link", name=transaction_id).click()
    assert accessibility_problems(page) == []
    page.get_by_role("button", name="Replay").click()
    page.get_by_role("dialog").get_by_role("button", name="Replay").click()

    expect(page.locator(".banner-accent")).to_contain_text("on its queue again")
    stack.wait_until(lambda: stack.get(f"/predictions/{transaction_id}")[0] == 200, LIMIT_S)


def _dead_letter(stack: RunningStack) -> str:
    """Accepted work whose attempts are used up, as the reaper leaves it."""
    transaction_id = new_id()
    transaction = compile_validator(load_schema(DEFAULT_SCHEMA)).parse(msgspec.json.encode(PAYMENT))
    row = ScoreRow(transaction_id, transaction.digest, 0, 0, transaction.values)
    left = {
        "task": names.TASK_SCORE_ACCEPTED,
        "queue": names.QUEUE_SCORE,
        "accepted_s": int(time.time()),
        "dead_ms": int(1000 * time.time()),
        "attempts": 3,
        "failure": "the ledger was away",
        "payload": msgspec.json.encode(row),
    }
    with Redis.from_url(stack.redis_url) as client:
        client.hset(names.inbox_key(transaction_id), mapping=left)
        client.zadd(names.DEAD_LETTERS, {transaction_id: time.time()})
    return transaction_id


def test_another_cost_gives_other_advice(page: Page, stack: RunningStack) -> None:
    page.goto(f"{stack.url}/console/thresholds")
    page.locator('[data-asked="on"]').wait_for()

    with page.expect_response(lambda answer: "/thresholds?" in answer.url) as asked:
        page.get_by_label("One review").first.fill("4")

    assert asked.value.json()["costs"]["review"] == 4
