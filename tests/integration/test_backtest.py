"""Backtests and advice over a real ledger: against themselves, against brute force, and as commands."""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result
from redis import Redis

from config.contracts import ChampionPointer, Reason, ScoreRow
from config.errors import BundleRefused, ModelRefused
from config.settings import Settings
from deploy.cli import main
from ml.advisor.ledger_days import report_from_ledger
from ml.advisor.report import Question
from ml.backtest.report import Backtest, SwapSet
from ml.backtest.run import Changed, Plan, run_backtest
from ml.backtest.trial import Trial
from ml.bundle import Bundle
from ml.costs import CostMatrix
from ml.ledger import Ledger
from ml.policy import ListRule, Policy
from ml.registry import StoredBundle, promote
from ml.thresholds import Thresholds
from tests.conftest import REPOSITORY
from tests.scored_ledger import (
    KINDS,
    SCHEMA,
    SCHEMA_TEXT,
    START,
    Payments,
    decided_by,
    label,
    make_bundle,
    make_payments,
    serve,
)
from workers.loading import scorer_loader
from workers.store import Observed

N, DAYS = 2500, 20
NOW = START + timedelta(days=DAYS + 3)
COSTS = CostMatrix(chargeback_fee=15.0)
PLAN = Plan(days=90, provisional=False, account="account", costs=COSTS, fallback_s=86_400.0)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backtest")


@pytest.fixture(scope="module")
def served(site: Path) -> Bundle:
    return make_bundle(site / "models", "served")


@pytest.fixture(scope="module")
def other(site: Path) -> Bundle:
    """Another model, whose categories have other codes."""
    return make_bundle(site / "models", "other", kinds=KINDS[::-1], noise=0.7)


@pytest.fixture(scope="module")
def payments() -> Payments:
    return make_payments(N, days=DAYS)


@pytest.fixture(scope="module")
def ledger(site: Path, served: Bundle, payments: Payments) -> Iterator[Ledger]:
    """Frauds that were not declined have come back, and a few good ones; declines nobody labelled."""
    filled = Ledger(f"sqlite:///{site / 'ledger.db'}", schema=SCHEMA)
    fill(filled, served, payments)
    yield filled
    filled.close()


def fill(ledger: Ledger, bundle: Bundle, payments: Payments) -> None:
    ledger.migrate()
    serve(ledger, bundle, payments)
    label(ledger, payments, np.flatnonzero(payments.fraud & (scores_of(bundle, payments) < 0.5)).tolist())


def scores_of(bundle: Bundle, payments: Payments) -> np.ndarray:
    return bundle.score(payments.matrix(bundle.featurizer.vocabularies["kind"]))


def backtest(ledger: Ledger, trial: Trial, plan: Plan = PLAN, *, now: datetime = NOW) -> tuple[Backtest, list[Changed]]:
    changed: list[Changed] = []
    found = run_backtest(ledger.quality, plan, trial, now=now, advance=lambda _done, _of: None, tell=changed.append)
    return found, changed


def trial(
    bundle: Bundle | None = None, review: float = 0.2, decline: float = 0.5, policy: Policy | None = None
) -> Trial:
    return Trial("trial", Thresholds(review, decline), policy, SCHEMA.digest, bundle)


def test_the_very_same_thresholds_and_model_change_nothing(ledger: Ledger, served: Bundle) -> None:
    for same in (trial(), trial(served)):
        found, changed = backtest(ledger, same)

        assert (found.swaps, changed, found.saves) == ([], [], 0.0)
        assert found.before == found.after
        assert (found.decisions, found.left_out, found.is_provisional) == (N, {}, False)


def test_another_models_swap_sets_are_those_of_brute_force(
    ledger: Ledger, served: Bundle, other: Bundle, payments: Payments
) -> None:
    found, changed = backtest(ledger, trial(other, review=0.2, decline=0.55))

    was, new = scores_of(served, payments), scores_of(other, payments)
    wanted = by_hand(payments, was, actions(was, 0.2, 0.5), actions(new, 0.2, 0.55))
    assert {(one.before, one.after) for one in found.swaps} == set(wanted)
    assert len(wanted) >= 4
    for one in found.swaps:
        assert as_tuple(one) == pytest.approx(wanted[one.before, one.after])
    assert found.saves == pytest.approx(sum(values[-1] for values in wanted.values()))
    assert len(changed) == sum(one.decisions for one in found.swaps)
    row = int(changed[0].decision_id.removeprefix("d-"))
    assert (changed[0].score_before, changed[0].score_after) == (was[row], new[row])


def actions(score: np.ndarray, review: float, decline: float) -> np.ndarray:
    return np.where(score >= decline, "decline", np.where(score >= review, "review", "approve"))


def by_hand(payments: Payments, score: np.ndarray, before: np.ndarray, after: np.ndarray) -> dict[Any, tuple[Any, ...]]:
    """Payment by payment, as a person would: (decisions, frauds, amount, fraud amount, unknown, saves)."""
    found: dict[Any, list[float]] = {}
    for row in range(N):
        if before[row] == after[row]:
            continue
        is_unknown = before[row] == "decline"
        fraud = score[row] if is_unknown else float(payments.fraud[row])
        amount = payments.amount[row]
        gained = worth(after[row], fraud, amount) - worth(before[row], fraud, amount)
        sums = found.setdefault((before[row], after[row]), [0.0] * 6)
        for place, value in enumerate((1, fraud, amount, fraud * amount, float(is_unknown), gained)):
            sums[place] += value
    return {step: tuple(sums) for step, sums in found.items()}


def worth(action: str, fraud: float, amount: float) -> float:
    lost, earned = fraud * (amount + 15.0), (1 - fraud) * 0.02 * amount
    if action == "decline":
        return -20.0 * (1 - fraud)
    return earned - lost if action == "approve" else earned - 0.1 * lost - 2.5


def as_tuple(one: SwapSet) -> tuple[float, ...]:
    return (one.decisions, one.frauds, one.amount, one.fraud_amount, one.unknown, one.saves)


def test_stricter_thresholds_have_more_alerts_and_find_more(ledger: Ledger) -> None:
    found, _ = backtest(ledger, trial(review=0.1, decline=0.3))

    assert found.after.alerts_per_day.value > found.before.alerts_per_day.value
    before, after = found.before.measures["recall"], found.after.measures["recall"]
    assert before is not None
    assert after is not None
    assert 0 < before.low < before.value < after.value <= after.high <= 1
    assert sum(day.alerts_after for day in found.days) == round(found.after.alerts_per_day.value * len(found.days))


def test_days_whose_labels_are_not_in_are_left_out_or_marked(ledger: Ledger) -> None:
    early = START + timedelta(days=10, hours=1)

    matured, _ = backtest(ledger, trial(), now=early)
    provisional, _ = backtest(ledger, trial(), replace(PLAN, provisional=True), now=early)
    few, _ = backtest(ledger, trial(), replace(PLAN, days=3))

    assert (matured.until, matured.is_provisional) == ("2026-03-10", False)
    assert (provisional.until, provisional.is_provisional) == ("2026-03-11", True)
    assert [day.is_matured for day in provisional.days] == [*([True] * 9), False]
    assert (few.since, few.until, len(few.days)) == ("2026-03-18", "2026-03-21", 3)


def test_a_model_is_not_asked_about_what_it_learned_from(site: Path, ledger: Ledger, payments: Payments) -> None:
    until_s = (START + timedelta(days=8)).timestamp()
    late = make_bundle(site / "models", "late", until_s=until_s)

    found, _ = backtest(ledger, trial(late))

    learned = int((payments.at_s <= until_s).sum())
    assert found.left_out == {"the model has learned from that time": learned}
    assert (found.decisions, len(found.days)) == (N - learned, 12)
    with pytest.raises(ModelRefused, match=f"{N:,} the model has learned from that time"):
        backtest(ledger, trial(make_bundle(site / "models", "latest", until_s=NOW.timestamp())))


def test_lists_of_a_policy_file_win_over_scores(ledger: Ledger, payments: Payments) -> None:
    accounts = SCHEMA.by_name["account"]
    place = [field.name for field in SCHEMA.fields].index(accounts.name)
    named = f"acc-{payments.account[0]}"
    policy = Policy(block=(ListRule("account", place, frozenset({named})),))

    found, changed = backtest(ledger, trial(policy=policy))

    rows = np.flatnonzero(payments.account == payments.account[0])
    assert {one.after for one in changed} == {"decline"}
    assert {one.decision_id for one in changed} <= {f"d-{row}" for row in rows}
    assert found.after.declines_per_day.value >= found.before.declines_per_day.value


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_what_a_list_decided_stays_and_pages_hold_together(
    request: pytest.FixtureRequest, tmp_path: Path, served: Bundle, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'l.db'}" if database == "sqlite" else request.getfixturevalue("postgres_database")
    monkeypatch.setattr("ml.ledger.judged.PAST_ROWS", 7)
    few = make_payments(60, days=2)
    ledger = Ledger(url, schema=SCHEMA)
    ledger.migrate()
    entries = list(listed_first(served, few))
    ledger.store(entries)

    found, changed = backtest(ledger, trial(review=0.0, decline=0.0))
    ledger.close()

    assert found.decisions == 59
    assert found.left_out == {"made by the rules alone": 1}
    assert "d-0" not in {one.decision_id for one in changed}  # the allow list said approve
    approved = [entry for entry in entries if entry.decision.action != "decline"]
    assert len(changed) == len(approved) - 2


def listed_first(bundle: Bundle, payments: Payments) -> Iterator[Any]:
    """The first payment approved by a list, the second by the rules alone."""
    for row, entry in enumerate(decided_by(bundle, payments, bundle.thresholds)):
        changes: dict[str, Any] = {}
        if row == 0:
            changes = {"action": "approve", "reasons": [Reason("ALLOW_LIST", "account", "lowers", 0.0, "allowed")]}
        elif row == 1:
            changes = {"action": "approve", "degraded": True}
        yield msgspec.structs.replace(entry, decision=msgspec.structs.replace(entry.decision, **changes))


def test_advice_from_the_ledger_is_no_worse_than_any_pair_and_each_amount_is_no_worse_than_one_pair(
    ledger: Ledger,
) -> None:
    question = Question(costs=COSTS, current=Thresholds(0.2, 0.5))

    report = report_from_ledger(ledger.quality, question, now=NOW, fallback_s=86_400.0, advance=lambda _done, _of: None)

    assert report.fixed.advice is not None
    assert report.fixed.decisions == N
    best = report.fixed.advice.best
    for review in (0.02, 0.1, 0.3):
        for decline in (0.3, 0.5, 0.9):
            found, _ = backtest(ledger, trial(review=review, decline=decline))
            assert found.after.cost_per_day.value >= best.cost_per_day.value - 1e-6
    found, _ = backtest(ledger, trial(review=best.review, decline=best.decline))
    assert found.after.cost_per_day.value == pytest.approx(best.cost_per_day.value)
    assert report.each is not None
    assert report.each.cost_per_day.value == pytest.approx(best.cost_per_day.value - report.each.saves_per_day.value)
    assert report.fixed.advice.unknown.decisions > 0


# --- the commands


@pytest.fixture
def run(site: Path, ledger: Ledger, served: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    (site / "schema.toml").write_text(SCHEMA_TEXT)
    bundle = StoredBundle(served.model_version, served.digest, served.model_version, SCHEMA.digest)
    promote(None, site / "models", bundle)
    for name, value in {
        "DATA_DIR": site,
        "SCHEMA_FILE": site / "schema.toml",
        "LABEL_DELAY_S": 86_400,
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }.items():
        monkeypatch.setenv(f"TOLLGATE_{name}", str(value))

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return invoke


def test_backtest_as_a_command(run: Any, other: Bundle, tmp_path: Path) -> None:
    rows, picture = tmp_path / "changed.csv", tmp_path / "picture.png"

    table = run("backtest", "--days", 20, "--review", 0.1, "--decline", 0.4, "--csv", rows, "--picture", picture)
    as_json = run("backtest", "--days", 20, "--model", other.model_version, "--cost", "refusal=50", "--json")

    assert table.exit_code == 0, table.output
    assert "approve -> review" in table.stdout
    assert "saves" in table.stdout
    with rows.open() as file:
        changed = list(csv.DictReader(file))
    assert {(row["before"], row["after"]) for row in changed} == {("approve", "review"), ("review", "decline")}
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(as_json.stdout)
    assert (found["model_version"], found["costs"]["refusal"], found["decisions"]) == ("other", 50.0, N)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say what to try"),
        (("--review", "0.2"), "go together"),
        (("--review", "0.7", "--decline", "0.2"), "is above"),
        (("--model", "nobody"), "has no model nobody"),
        (("--review", "0.1", "--decline", "0.2", "--cost", "bribes=3"), "no cost"),
        (("--review", "0.1", "--decline", "0.2", "--cost", "margin=3"), "must be 0 to 1"),
        (("--review", "0.1", "--decline", "0.2", "--picture", "p.gif"), ".png or .svg"),
    ],
)
def test_what_cannot_be_tried_is_told(run: Any, arguments: tuple[str, ...], said: str) -> None:
    refused = run("backtest", *arguments)

    assert refused.exit_code == 2
    assert said in refused.output


def test_advice_that_cannot_be_given_or_taken_is_told(run: Any, tmp_path: Path) -> None:
    nothing = run("thresholds", "--model", "nobody", "--picture", tmp_path / "p.png")
    foreign = run("thresholds", "--model", "other", "--apply")

    assert (nothing.exit_code, "no advice: 0 matured frauds" in nothing.stdout) == (1, True)
    assert (foreign.exit_code, "leave --model out" in foreign.output) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_thresholds_as_a_command_show_the_advice_and_apply_it(run: Any, site: Path, ledger: Ledger) -> None:
    picture = site / "advice.svg"

    shown = run("thresholds", "--days", 20, "--reviews-per-day", 5, "--picture", picture)
    before = run("thresholds", "--json")
    # No broker: the file is written and recorded, and the workers cannot be told.
    applied = run("thresholds", "--apply")

    assert shown.exit_code == 0, shown.output
    assert "in force" in shown.stdout
    assert "declines have no label" in shown.stdout
    assert b"<svg" in picture.read_bytes()
    best = json.loads(before.stdout)["fixed"]["advice"]["best"]
    assert applied.exit_code == 2
    assert "written, but not in service yet" in applied.output
    text = (site / "policy.toml").read_text()
    assert f"[thresholds]\nreview = {best['review']!r}\ndecline = {best['decline']!r}\n" in text
    (event, *_) = ledger.model_events()
    assert (event.action, event.to_version) == ("thresholds_set", "served")
    assert f"review from {best['review']:g}" in event.reasons[0]
    again = json.loads(run("thresholds", "--json").stdout)["fixed"]["advice"]
    assert (again["current"]["review"], again["current"]["decline"]) == (best["review"], best["decline"])
    (site / "policy.toml").unlink()


def test_a_reload_takes_the_policy_file_into_service_as_it_is_then(site: Path, served: Bundle, run: Any) -> None:
    load = scorer_loader(Settings(schema_file=site / "schema.toml"))
    pointer = ChampionPointer(served.model_version, served.digest, served.model_version, 1, NOW.isoformat())
    policy = site / "policy.toml"
    values = ["acc-1", NOW.timestamp(), 50.0, 1.0, "online"]
    row = Observed(
        ScoreRow("t", "0" * 16, 0, 0, values), "S", sequence=1, event_at_s=NOW.timestamp(), logs=[(b"", b"")]
    )

    def action() -> str:
        (finished,) = load(pointer).finish([row])
        return str(finished.action)

    policy.write_text("[thresholds]\nreview = 1.0\ndecline = 1.0\n")
    mild = action()
    policy.write_text("[thresholds]\nreview = 0.0\ndecline = 0.0\n")
    strict = action()
    policy.write_text("[thresholds]\nreview = 3.0\n")
    with pytest.raises(BundleRefused, match="thresholds/review"):
        action()
    policy.unlink()

    assert (mild, strict) == ("approve", "decline")


def test_the_commands_of_the_page_about_thresholds_work_as_printed(
    run: Any, site: Path, served: Bundle, redis_client: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(redis_client, site / "models", StoredBundle("served", served.digest, "served", SCHEMA.digest))
    monkeypatch.setenv("TOLLGATE_REDIS_URL", redis_url)
    monkeypatch.chdir(site)
    (site / "other-policy.toml").write_text("[thresholds]\nreview = 0.1\ndecline = 0.6\n")
    page = (REPOSITORY / "docs" / "thresholds.md").read_text()
    commands = re.findall(r"^    tollgate (.+)$", page, flags=re.MULTILINE)

    assert len(commands) == 8
    for command in commands:
        done = run(*shlex.split(command.replace("VERSION", served.model_version)))
        assert done.exit_code == 0, f"{command}: {done.output}"
    assert {"advice.svg", "backtest.png", "changed.csv", "policy.toml"} <= {path.name for path in site.iterdir()}
    (site / "policy.toml").unlink()
