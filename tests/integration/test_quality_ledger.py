"""Live quality in the ledger, on SQLite and on PostgreSQL: what is read, what is due, a stream of late labels."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from config.contracts import JournalEntry
from config.schema.model import Field, Roles, Schema
from ml.ledger import LabelRecord, Ledger
from ml.quality.cells import Cell, LabelDelay, QualityState, is_matured
from ml.quality.ratio import counted
from ml.quality.roll_up import RolledUp, RollUpPlan, roll_up
from ml.quality.summary import QualityGroup, summarise
from tests.ledger_entries import NOON, entry, label

SCHEMA = Schema(
    name="payment",
    version=1,
    fields=(
        Field("amount", "number", min=0),
        Field("account_id", "id", model=False, required=False),
        Field("merchant_category", "category"),
    ),
    roles=Roles(amount="amount", entities=(("account", "account_id"),)),
    digest="q" * 64,
)
PLAN = RollUpPlan(k=5, segment="merchant_category", account=("account", "account_id"), fallback_s=3 * 86_400.0)
DAY = timedelta(days=1)


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    url = (
        f"sqlite:///{tmp_path / 'l.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_database")
    )
    ledger = Ledger(url, schema=SCHEMA)
    ledger.migrate()
    yield ledger
    ledger.close()


def payment(number: int, at: datetime, *, category: str | None = "online", **changes: Any) -> JournalEntry:
    account = changes.pop("account", f"acc-{number}")
    given = {"event_at_s": at.timestamp(), "schema_digest": SCHEMA.digest, "values": [10.0, account, category]}
    return entry(number, **(given | changes))


def run(ledger: Ledger, now: datetime, *, plan: RollUpPlan = PLAN) -> RolledUp:
    return roll_up(ledger.quality, plan, now=now, is_over=lambda: False)


def days(ledger: Ledger, now: datetime) -> dict[str, QualityGroup]:
    state = ledger.quality.state()
    assert state is not None
    cells = ledger.quality.cells("all")
    found = summarise(cells, "day", delay_s=state.delay.delay_s, now=now, promises=lambda _version: {})
    return {group.group: group for group in found}


def test_a_decision_is_read_with_its_label_and_the_fields_that_are_asked_for(ledger: Ledger) -> None:
    ledger.store([
        payment(1, NOON, action="decline", fraud_probability=0.9, amount=75.0),
        payment(2, NOON + timedelta(minutes=5), category=None, account=None),
        payment(3, NOON + DAY),
        payment(4, NOON, degraded=True),
    ])  # fmt: skip
    ledger.store_labels([label(1, label_id="a"), label(1, label_id="b", known_at=NOON + 9 * DAY, is_fraud=False)])

    found = ledger.quality.judged_on("2026-03-01", segment="merchant_category", account="account_id")

    assert [(d.probability, d.action, d.amount, d.segment, d.account, d.is_fraud) for d in found] == [
        (0.9, "decline", 75.0, "online", "acc-1", False),
        (0.25, "approve", 1500.0, None, None, None),
    ]
    assert found[0].event_time_s == NOON.timestamp()


def test_the_chance_of_an_action_is_kept_and_read_back(ledger: Ledger) -> None:
    ledger.store([payment(1, NOON, propensity=0.01), payment(2, NOON)])

    stored = ledger.decision_by_id("d-1")
    found = ledger.quality.judged_on("2026-03-01", segment=None, account=None)

    assert stored is not None
    assert stored.record.propensity == 0.01
    assert sorted(decision.propensity for decision in found) == [0.01, 1.0]


def test_many_ids_are_looked_up_at_once(ledger: Ledger) -> None:
    ledger.store([payment(number, NOON) for number in range(5)])
    ledger.store_label(label(1))

    pairs = ledger.identify(transaction_ids=["t-1", "t-9"], decision_ids=["d-2", "nobody"])
    found = ledger.decisions_by_id(["d-1", "d-2", "nobody"])

    assert sorted(pairs) == [("d-1", "t-1"), ("d-2", "t-2")]
    assert {decision_id: stored.label is not None for decision_id, stored in found.items()} == {
        "d-1": True,
        "d-2": False,
    }


def test_values_are_found_where_each_decisions_own_schema_had_them(ledger: Ledger) -> None:
    ledger.store([payment(1, NOON), payment(2, NOON, schema_digest="unknown")])

    found = ledger.quality.judged_on("2026-03-01", segment="merchant_category", account=None)

    assert [d.segment for d in found] == ["online", None]


def test_a_value_with_a_nul_character_leaves_the_day_readable(ledger: Ledger) -> None:
    ledger.store([payment(1, NOON, category="bad \x00 one", account=None), payment(2, NOON)])

    found = ledger.quality.judged_on("2026-03-01", segment="merchant_category", account="account_id")

    assert len(found) == 2
    assert found[1].segment == "online"


def test_days_are_read_in_chunks_without_gap_or_repetition(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.ledger.judged.CHUNK_ROWS", 3)
    ledger.store([payment(n, NOON + timedelta(minutes=n // 4), fraud_probability=n / 100) for n in range(11)])

    found = ledger.quality.judged_on("2026-03-01", segment=None, account=None)

    assert sorted(round(100 * d.probability) for d in found) == list(range(11))


def test_accounts_are_known_for_fraud_from_the_moment_their_label_was_known(ledger: Ledger) -> None:
    ledger.store([payment(1, NOON), payment(2, NOON), payment(3, NOON)])
    ledger.store_labels([label(1, known_at=NOON + DAY), label(2, known_at=NOON + DAY, is_fraud=False)])
    ask = ["acc-1", "acc-2", "acc-3", "acc-9"]

    assert ledger.quality.known_for_fraud("account", ask, before=NOON + 2 * DAY) == {"acc-1"}
    assert ledger.quality.known_for_fraud("account", ask, before=NOON + DAY) == set()


def test_the_delay_of_a_fraud_ends_when_it_was_first_known(ledger: Ledger) -> None:
    ledger.store([payment(1, NOON), payment(2, NOON)])
    ledger.store_labels([
        label(1, label_id="late", known_at=NOON + 9 * DAY),
        label(1, label_id="first", known_at=NOON + 2 * DAY),
        label(2, is_fraud=False),
    ])  # fmt: skip

    assert ledger.quality.fraud_delays() == [(NOON.timestamp(), NOON + 2 * DAY)]


def test_only_days_that_changed_are_made_anew(ledger: Ledger) -> None:
    ledger.store([payment(1, NOON), payment(2, NOON + DAY)])
    now = NOON + 30 * DAY

    assert run(ledger, now) == RolledUp(2, 0)
    run(ledger, now)  # looks at the same rows once more: numbers may become visible late
    assert run(ledger, now) == RolledUp(0, 0)
    ledger.store_label(label(1, known_at=NOON + 4 * DAY))
    assert run(ledger, now) == RolledUp(1, 0)
    assert [(cell.day, cell.frauds) for cell in ledger.quality.cells("all")] == [("2026-03-01", 1), ("2026-03-02", 0)]


def test_days_whose_labels_are_still_arriving_are_looked_at_every_hour(ledger: Ledger) -> None:
    ledger.store([payment(1, NOON)])
    for _ in range(3):
        run(ledger, NOON + DAY)

    assert run(ledger, NOON + DAY + timedelta(minutes=59)) == RolledUp(0, 0)
    assert run(ledger, NOON + DAY + timedelta(minutes=61)) == RolledUp(1, 0)
    assert run(ledger, NOON + 60 * DAY) == RolledUp(0, 0)


def test_what_time_does_not_suffice_for_is_done_the_next_time(ledger: Ledger) -> None:
    ledger.store([payment(n, NOON + n * DAY) for n in range(3)])

    first = roll_up(ledger.quality, PLAN, now=NOON + 30 * DAY, is_over=lambda: True)

    assert first == RolledUp(1, 2)
    assert run(ledger, NOON + 30 * DAY).left == 0
    assert [cell.decisions for cell in ledger.quality.cells("all")] == [1, 1, 1]


def test_many_new_rows_are_looked_through_in_several_looks(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.ledger.quality_book.LOOK_ROWS", 2)
    ledger.store([payment(n, NOON + n * DAY) for n in range(7)])

    for _ in range(6):
        run(ledger, NOON + 60 * DAY)

    assert len(ledger.quality.cells("all")) == 7


def test_cells_and_state_come_back_equal(ledger: Ledger) -> None:
    cell = Cell(
        day="2026-03-01",
        dimension="segment",
        value="online",
        decisions=3,
        labelled=2,
        frauds=1,
        fraud_amount=10.5,
        explored=0,
        measures={"recall": counted(1, 2)},
    )
    state = QualityState(NOON, LabelDelay(5.0, True, 200), 7)
    assert ledger.quality.state() is None
    ledger.quality.mark_changed_days()
    assert ledger.quality.state() is None

    ledger.quality.store_day("2026-03-01", [cell], rolled_at=NOON)
    ledger.quality.store_day("2026-03-01", [cell], rolled_at=NOON)
    ledger.quality.store_state(state)

    assert ledger.quality.cells("segment") == [cell]
    assert ledger.quality.cells("segment", since="2026-03-02") == []
    assert ledger.quality.cells("segment", until="2026-03-01") == []
    assert ledger.quality.cells("all") == []
    assert ledger.quality.state() == state


def test_event_times_that_are_mere_counters_have_a_day_too(ledger: Ledger) -> None:
    ledger.store([payment(n, NOON, event_at_s=at) for n, at in enumerate((17.0, -86400.5, 1e18, -1e18))])

    assert run(ledger, NOON).left == 0

    assert [cell.day for cell in ledger.quality.cells("all")] == [
        "0001-01-01",
        "1969-12-30",
        "1970-01-01",
        "9999-12-31",
    ]


class Stream:
    """Twelve days of payments, 1 in 25 fraud; a fraud's label is known after an exponential delay of two days."""

    def __init__(self, ledger: Ledger, rng: np.random.Generator) -> None:
        self.ledger = ledger
        self.labels: list[LabelRecord] = []
        self.frauds: dict[str, int] = {}
        self.entries: list[JournalEntry] = []
        for number in range(12 * 300):
            self._add(number, NOON.replace(hour=0) + timedelta(days=number / 300), rng)

    def _add(self, number: int, at: datetime, rng: np.random.Generator) -> None:
        is_fraud = bool(rng.random() < 0.04)
        is_caught = bool(rng.random() < (0.7 if is_fraud else 0.02))
        action = "decline" if is_caught else "approve"
        score = 0.9 if is_caught else 0.1
        self.entries.append(payment(number, at, action=action, fraud_probability=score, is_fraud=is_caught))
        if is_fraud:
            day = at.date().isoformat()
            self.frauds[day] = self.frauds.get(day, 0) + 1
            self.labels.append(label(number, known_at=at + timedelta(days=float(rng.exponential(2.0)))))

    def play_until(self, now: datetime) -> None:
        """Store what has happened and what is known by now, and roll up."""
        self.ledger.store([e for e in self.entries if e.record.event_at_s <= now.timestamp()])
        self.ledger.store_labels([one for one in self.labels if one.known_at <= now])
        run(self.ledger, now)


def test_days_go_from_provisional_to_matured_as_their_labels_arrive(ledger: Ledger) -> None:
    stream = Stream(ledger, np.random.default_rng(5))
    early, late = datetime(2026, 3, 13, tzinfo=UTC), datetime(2026, 4, 10, tzinfo=UTC)

    stream.play_until(early)

    state = ledger.quality.state()
    assert state is not None
    assert state.delay.is_learned
    assert state.delay.delay_s == pytest.approx(2 * 86_400 * np.log(20), rel=0.3)
    found = days(ledger, early)
    assert found["2026-03-01"].maturity == "matured"
    assert found["2026-03-12"].maturity == "provisional"
    young = [group for day, group in found.items() if "2026-03-08" <= day <= "2026-03-11" and group.estimate]
    known = sum(group.provisional.frauds for group in young if group.provisional)
    truth = sum(stream.frauds[group.group] for group in young)
    estimated = sum(group.estimate["fraud_rate"].value * group.decisions for group in young if group.estimate)
    assert known < 0.9 * truth
    assert estimated == pytest.approx(truth, rel=0.25)
    assert abs(estimated - truth) < abs(known - truth)

    stream.play_until(late)

    found = days(ledger, late)
    assert {group.maturity for group in found.values()} == {"matured"}
    assert {day: group.matured.frauds for day, group in found.items() if group.matured} == stream.frauds


def test_matured_intervals_contain_what_the_stream_was_made_with(ledger: Ledger) -> None:
    Stream(ledger, np.random.default_rng(11)).play_until(datetime(2026, 5, 1, tzinfo=UTC))
    state = ledger.quality.state()
    assert state is not None
    now = datetime(2026, 5, 1, tzinfo=UTC)
    assert is_matured("2026-03-12", state.delay.delay_s, now)

    line = summarise(
        ledger.quality.cells("model_version"),
        "model_version",
        delay_s=state.delay.delay_s,
        now=now,
        promises=lambda _version: {},
    )[0]

    assert line.group == "m-1"
    assert line.matured is not None
    for measure, truth in (("recall", 0.7), ("false_positive_rate", 0.02), ("fraud_rate", 0.04)):
        figure = line.matured.measures[measure]
        assert figure is not None
        assert figure.low < truth < figure.high, measure
