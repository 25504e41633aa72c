"""What was served comes out of the ledger again to the bit: on a real broker, through every way a decision can take."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result
from redis import Redis
from sqlalchemy import text

from config.contracts import Decision, JournalEntry, JournalRecord
from config.settings import Settings
from deploy.cli import main
from ml.bundle import Bundle
from ml.ledger import Ledger
from ml.ledger.engine import writing
from ml.replay.run import replay_decision, replay_ledger
from ml.replay.shelf import BundleShelf
from tests.replay_site import HISTORY_EVENTS, SCHEMA, VOCABULARY, Site, save_card_bundle

START_S = 1_767_225_600.0
HOUR_S = 3600.0


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def bundle(model_dir: Path) -> Bundle:
    return save_card_bundle(model_dir / "cards-1")


@pytest.fixture
def site(redis_client: Redis, bundle: Bundle, tmp_path: Path) -> Iterator[Site]:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=bundle.schema)
    ledger.migrate()
    yield Site(redis_client, ledger, bundle, Settings(history_events=HISTORY_EVENTS, history_retain_s=60))
    ledger.close()


def payment(rng: np.random.Generator, at_s: float) -> list[Any]:
    """Values of one payment: late now and then, with gaps, sometimes with what could be derived."""
    late_s = float(rng.choice([0, 0, 0, 2 * HOUR_S]))
    return [
        f"c{rng.integers(4)}" if rng.random() < 0.9 else None,
        f"s{rng.integers(3)}" if rng.random() < 0.8 else None,
        round(float(rng.lognormal(3, 1)), 2) if rng.random() < 0.95 else None,
        at_s - late_s,
        str(rng.choice([*VOCABULARY, "unheard of"])),
        int(rng.integers(24)) if rng.random() < 0.3 else None,
        12.5 if rng.random() < 0.2 else None,
    ]


def live(site: Site, rng: np.random.Generator, rounds: int = 20) -> None:
    """Batches of both kinds, and between them labels: first ones, repeated ones, revised ones, late-known ones."""
    at_s = START_S
    for number in range(rounds):
        rows = [site.row(payment(rng, at_s + 60 * place)) for place in range(int(rng.integers(1, 6)))]
        site.serve_in_bulk(rows) if number % 3 == 2 else site.serve(rows)
        site.drain()
        for place, row in enumerate(rows):
            for again in range(int(rng.integers(0, 4))):
                known_at_s = at_s + HOUR_S * float(rng.choice([1, 2, 50]))
                name = f"l{number}-{place}-{again}"
                site.label(row.transaction_id, is_fraud=bool(rng.random() < 0.5), known_at_s=known_at_s, label_id=name)
                site.drain()
        at_s += float(rng.integers(1, 20)) * HOUR_S


def test_every_decision_is_rebuilt_to_the_bit_from_the_whole_ledger_and_one_by_one(site: Site, model_dir: Path) -> None:
    live(site, np.random.default_rng(5))
    shelf = BundleShelf(model_dir)

    summary = replay_ledger(site.ledger, shelf)
    alone = [replay_decision(site.ledger, shelf, stored) for stored in site.ledger.latest_decisions(1000)]

    assert summary.decisions == site.ledger.count_decisions() == len(alone) > 50
    assert summary.labels > 50
    assert (summary.different, summary.impossible, summary.missing_sequences) == (0, {}, 0), summary.shown
    assert summary.identical + summary.close == summary.decisions
    assert {replayed.outcome for replayed in alone} <= {"identical", "close"}
    assert all(replayed.features == len(site.bundle.spec.columns) for replayed in alone)
    served = np.array([np.frombuffer(stored.features) for stored in site.ledger.latest_decisions(1000)])
    assert (np.nanmax(served[:, -4:], axis=0) > 0).all()


def test_the_order_in_which_transactions_were_seen_is_kept_when_they_are_stored_in_another(
    site: Site, model_dir: Path
) -> None:
    first, second, third = (
        [site.row(["c1", None, amount, START_S + amount, None, None, None])] for amount in (1.0, 2.0, 3.0)
    )
    slow, quick = site.finish(first), site.finish(second)
    site.commit(quick)
    site.serve_in_bulk(third)
    site.commit(slow)
    site.drain()

    summary = replay_ledger(site.ledger, BundleShelf(model_dir))

    by_sequence = sorted((stored.sequence, stored.decision.transaction_id) for stored in site.ledger.latest_decisions())
    assert by_sequence == [(1, "t1"), (2, "t2"), (3, "t3")]
    assert summary.identical + summary.close == 3
    assert site.client.keys("tollgate:seen:*") == []


def test_only_what_was_scored_since_is_compared_but_all_of_it_is_history(site: Site, model_dir: Path) -> None:
    live(site, np.random.default_rng(6), rounds=10)
    newest = site.ledger.latest_decisions(3)

    summary = replay_ledger(site.ledger, BundleShelf(model_dir), since=newest[-1].scored_at)

    assert 3 <= summary.decisions < site.ledger.count_decisions()
    assert summary.identical + summary.close == summary.decisions


def test_tenants_with_the_same_cards_saw_histories_of_their_own(site: Site, model_dir: Path, tollgate: Path) -> None:
    payments = [["c1", "s1", float(number), START_S + HOUR_S * number, "fuel", None, None] for number in range(4)]
    for number, values in enumerate(payments):
        site.serve([site.row(values, transaction_id=f"{tenant}t{number}") for tenant in ("", "acme\x1f", "bolt\x1f")])
        site.drain()
        known_at_s = START_S + HOUR_S * number
        site.label(f"acme\x1ft{number}", is_fraud=True, known_at_s=known_at_s, label_id=f"acme\x1fl{number}")
        site.drain()

    served = {
        stored.decision.transaction_id: np.frombuffer(stored.features) for stored in site.ledger.latest_decisions()
    }
    columns = site.bundle.spec.columns
    shelf = BundleShelf(model_dir)

    summary = replay_ledger(site.ledger, shelf)
    alone = [replay_decision(site.ledger, shelf, stored) for stored in site.ledger.latest_decisions()]

    assert [served[f"{tenant}t3"][columns.index("card_count_24h")] for tenant in ("", "acme\x1f", "bolt\x1f")] == [
        3,
        3,
        3,
    ]
    assert served["acme\x1ft3"][columns.index("shop_fraud_rate_30d")] > 0
    assert not served["t3"][columns.index("shop_fraud_rate_30d")] > 0
    np.testing.assert_array_equal(served["t3"], served["bolt\x1ft3"])
    assert (summary.identical + summary.close, summary.different) == (12, 0)
    assert {replayed.outcome for replayed in alone} <= {"identical", "close"}
    by_tenant = replay("t3", "--tenant", "acme")
    assert (by_tenant.exit_code, r"transaction acme\x1ft3" in by_tenant.output) == (0, True), by_tenant.output


def test_a_changed_feature_is_named_with_both_values(site: Site, model_dir: Path) -> None:
    site.serve([site.row(["c1", "s1", 10.0, START_S, "fuel", None, None])])
    site.drain()
    [stored] = site.ledger.latest_decisions(1)
    changed = np.frombuffer(stored.features).copy()
    changed[site.bundle.spec.columns.index("amount")] = 11.0

    replayed = replay_decision(
        site.ledger, BundleShelf(model_dir), msgspec.structs.replace(stored, features=changed.tobytes())
    )

    assert replayed.outcome == "different"
    assert [(one.column, one.served, one.rebuilt) for one in replayed.differences] == [("amount", 11.0, 10.0)]


def test_a_probability_that_the_bundle_does_not_give_is_a_difference(site: Site, model_dir: Path) -> None:
    site.serve([site.row(["c1", None, 10.0, START_S, None, None, None])])
    site.drain()
    [stored] = site.ledger.latest_decisions(1)
    moved = msgspec.structs.replace(stored.decision, fraud_probability=stored.decision.fraud_probability + 1e-6)
    barely = msgspec.structs.replace(stored.decision, fraud_probability=stored.decision.fraud_probability + 1e-12)
    shelf = BundleShelf(model_dir)

    outcomes = [
        replay_decision(site.ledger, shelf, msgspec.structs.replace(stored, decision=decision)).outcome
        for decision in (stored.decision, barely, moved)
    ]

    assert outcomes == ["identical", "close", "different"]


def degraded_entry(site: Site, sequence: int) -> JournalEntry:
    """A decision by the rules alone about card c1; 0: no worker had seen its transaction."""
    decision = Decision(
        f"rules-{sequence}", f"rules-{sequence}", 0.0, False, 0, "low", "approve", [], "rules",
        "2026-01-01T00:00:01.000Z", True,
    )  # fmt: skip
    values = ["c1", None, 99.0, START_S + 1, None, None, None]
    record = JournalRecord(sequence, "0" * 16, site.bundle.schema.digest, 1, START_S + 1, 99.0, values, {})
    return JournalEntry(decision, record, b"")


def test_a_decision_by_the_rules_has_nothing_to_rebuild_and_is_history_only_when_a_worker_saw_it(
    site: Site, model_dir: Path
) -> None:
    rows = [site.row(["c1", None, amount, START_S + amount, None, None, None]) for amount in (1.0, 2.0, 3.0)]
    site.serve(rows[:1])
    site.finish(rows[1:2])
    site.serve(rows[2:])
    site.drain()
    seen = degraded_entry(site, 2)
    values = rows[1].values
    seen = msgspec.structs.replace(
        seen, record=msgspec.structs.replace(seen.record, values=values, event_at_s=START_S + 2.0)
    )
    site.ledger.store([seen, degraded_entry(site, 0)])

    summary = replay_ledger(site.ledger, BundleShelf(model_dir))

    assert summary.identical + summary.close == 2
    [(reason, count)] = summary.impossible.items()
    assert count == 2
    assert "policy file alone" in reason


def test_history_that_retention_removed_is_said_and_is_no_difference(site: Site, model_dir: Path) -> None:
    for number in range(3):
        site.serve([site.row(["c1", None, 10.0 + number, START_S + number, None, None, None])])
    site.drain()
    with writing(site.ledger._engine) as connection:
        connection.execute(text("DELETE FROM decisions WHERE sequence = 1"))
    last = site.ledger.latest_decisions(1)[0]

    replayed = replay_decision(site.ledger, BundleShelf(model_dir), last)

    assert replayed.outcome == "impossible"
    assert "begins at sequence number 2" in replayed.reason


def test_history_without_a_decision_shows_as_a_difference_and_a_missing_number(site: Site, model_dir: Path) -> None:
    rows = [site.row(["c1", None, amount, START_S + amount, None, None, None]) for amount in (1.0, 2.0, 3.0)]
    site.serve(rows[:1])
    site.finish(rows[1:2])
    site.serve(rows[2:])
    site.drain()

    summary = replay_ledger(site.ledger, BundleShelf(model_dir))

    assert (summary.different, summary.missing_sequences) == (1, 1)
    assert "card_count_24h" in {one.column for one in summary.shown[0].differences}


@pytest.fixture
def tollgate(site: Site, model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command's settings point at this site; the bundle store is a copy that may be damaged."""
    copied = tmp_path / "copied-models"
    shutil.copytree(model_dir, copied)
    (tmp_path / "cards.toml").write_text(SCHEMA)
    monkeypatch.setenv("TOLLGATE_DATABASE_URL", f"sqlite:///{tmp_path / 'ledger.db'}")
    monkeypatch.setenv("TOLLGATE_MODEL_DIR", str(copied))
    monkeypatch.setenv("TOLLGATE_SCHEMA_FILE", str(tmp_path / "cards.toml"))
    return copied


def replay(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["replay", *arguments])


def test_the_command_replays_by_either_id_and_the_whole_ledger(site: Site, tollgate: Path) -> None:
    live(site, np.random.default_rng(7), rounds=5)
    [stored] = site.ledger.latest_decisions(1)

    by_decision = replay(stored.decision.decision_id, "--json")
    by_transaction = replay(stored.decision.transaction_id)
    whole = replay("--all", "--json")

    assert (by_decision.exit_code, by_transaction.exit_code, whole.exit_code) == (0, 0, 0), whole.output
    assert json.loads(by_decision.output)["served_probability"] == stored.decision.fraud_probability
    assert "identical" in by_transaction.output
    assert json.loads(whole.output)["decisions"] == site.ledger.count_decisions()


def test_the_command_ends_with_1_when_something_differs(site: Site, tollgate: Path) -> None:
    site.serve([site.row(["c1", None, 10.0, START_S, None, None, None])])
    site.drain()
    with writing(site.ledger._engine) as connection:
        connection.execute(text("UPDATE decisions SET fraud_probability = 0.5"))

    one, whole = replay("t1"), replay("--all")

    assert (one.exit_code, whole.exit_code) == (1, 1)
    assert "served 0.5" in one.output
    assert "different: 1" in whole.output


def test_a_bundle_that_is_gone_is_a_clear_sentence(site: Site, tollgate: Path) -> None:
    site.serve([site.row(["c1", None, 10.0, START_S, None, None, None])])
    site.drain()
    shutil.rmtree(tollgate / "cards-1")

    one, whole = replay("t1"), replay("--all")

    assert (one.exit_code, whole.exit_code) == (3, 0)
    assert "cannot be rebuilt: its bundle cards-1 is not in" in one.output
    assert "cannot be rebuilt: 1: its bundle cards-1 is not in" in whole.output


@pytest.mark.parametrize("arguments", [(), ("t1", "--all"), ("t1", "--since", "2026-01-01"), ("--all", "--since", "x")])
def test_arguments_that_do_not_go_together_are_refused(tollgate: Path, arguments: tuple[str, ...]) -> None:
    assert replay(*arguments).exit_code == 2


def test_an_unknown_id_says_so(tollgate: Path) -> None:
    result = replay("nobody")

    assert result.exit_code == 2
    assert "the ledger has no decision 'nobody'" in result.output
