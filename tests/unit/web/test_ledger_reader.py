"""The ledger as the pages read it: a real SQLite ledger with two decisions and three labels."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from config.contracts import Decision, JournalEntry, JournalRecord
from config.schema.model import Schema
from config.schema.validate import Validator
from ml.ledger import LabelRecord, Ledger
from tests.web_app import PAYMENT
from web.ledger_reader import LedgerReader
from web.ports.labels import Label
from web.ports.ledger import DecisionFilter

NOW = datetime(2026, 3, 2, tzinfo=UTC)
SENT = {**PAYMENT, "timestamp": "2026-03-01T12:00:00Z", "account_id": "acc-1"}


def entry(validator: Validator, schema: Schema, number: int, **changed: Any) -> JournalEntry:
    transaction = validator.validate({**SENT, **changed})
    decision = Decision(
        decision_id=f"d-{number}",
        transaction_id=f"t-{number}",
        fraud_probability=0.25,
        is_fraud=number == 2,
        risk_score=25,
        risk_level="low",
        action="decline" if number == 2 else "approve",
        reasons=[],
        model_version="m1",
        scored_at=f"2026-03-01T12:00:0{number}.123Z",
    )
    record = JournalRecord(
        sequence=number,
        digest=transaction.digest,
        schema_digest=schema.digest,
        received_ms=1_772_366_400_000,
        event_at_s=1_772_366_400.0,
        amount=transaction.values[0],
        values=transaction.values,
        derived={"account_count_24h": 3.0},
    )
    return JournalEntry(decision, record, b"")


def label(number: int, label_id: str, *, is_fraud: bool, day: int) -> LabelRecord:
    return LabelRecord(
        label_id=label_id,
        is_fraud=is_fraud,
        source="chargeback",
        known_at=datetime(2026, 3, day, tzinfo=UTC),
        received_at=NOW,
        sequence=10 + day,
        decision_id=f"d-{number}",
        transaction_id=f"t-{number}",
    )


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, schema: Schema, validator: Validator) -> Iterator[LedgerReader]:
    ledger = Ledger(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/ledger.db", schema=schema)
    ledger.migrate()
    ledger.store([entry(validator, schema, 1), entry(validator, schema, 2, amount=9.0)])
    ledger.store_labels(
        [
            label(1, "l-1", is_fraud=True, day=3),
            label(1, "l-2", is_fraud=False, day=4),
            label(2, "l-3", is_fraud=True, day=3),
        ]
    )
    yield LedgerReader(ledger, schema)
    ledger.close()


@pytest.mark.parametrize("identifier", ["d-1", "t-1"])
def test_a_decision_is_found_by_either_id_with_all_its_labels(reader: LedgerReader, identifier: str) -> None:
    found = reader.find_decision(identifier, tenant="default")

    assert found is not None
    assert found.decision["decision_id"] == "d-1"
    assert [(item["label_id"], item["is_fraud"]) for item in found.labels] == [("l-1", True), ("l-2", False)]


def test_what_was_sent_reads_as_it_was_sent_and_apart_from_what_was_derived(reader: LedgerReader) -> None:
    found = reader.find_decision("t-1", tenant="default")

    assert found is not None
    assert found.sent == SENT
    assert found.derived == {"account_count_24h": 3.0}


def test_the_list_is_newest_first_and_shows_the_label_that_counts(reader: LedgerReader) -> None:
    listed = reader.list_decisions(DecisionFilter())

    assert [row.decision["decision_id"] for row in listed] == ["d-2", "d-1"]
    assert [label["is_fraud"] for label in listed[1].labels] == [False]


def test_the_list_is_filtered_and_paged(reader: LedgerReader) -> None:
    first = reader.list_decisions(DecisionFilter(limit=1))
    second = reader.list_decisions(DecisionFilter(limit=1, before=first[-1].id))
    declined = reader.list_decisions(DecisionFilter(action="decline", is_fraud=True, model_version="m1"))

    assert [row.decision["decision_id"] for row in (*first, *second)] == ["d-2", "d-1"]
    assert [row.decision["decision_id"] for row in declined] == ["d-2"]
    assert reader.list_decisions(DecisionFilter(since=NOW)) == []


def test_the_summary_counts_decisions_and_judges_them_by_their_labels(reader: LedgerReader) -> None:
    summary = reader.summary()

    assert summary["decisions"] == 2
    assert summary["by_action"] == {"approve": 1, "decline": 1}
    assert summary["labels"] == 3
    assert summary["accuracy"] == 1.0
    assert summary["fraud_rate"] == 0.5


def test_a_stored_decision_is_encoded_as_it_was_answered(
    reader: LedgerReader, validator: Validator, schema: Schema
) -> None:
    answered = entry(validator, schema, 1).decision

    assert reader.decision_json("t-1") == msgspec.json.encode(answered)
    assert reader.decision_json("nobody") is None


@pytest.mark.parametrize(
    ("named", "target"),
    [
        ({"decision_id": "d-1"}, ("d-1", "t-1")),
        ({"transaction_id": "t-2"}, ("d-2", "t-2")),
        ({"decision_id": "nobody"}, None),
        ({"transaction_id": "nobody"}, None),
        ({"digest": "0" * 16}, None),
    ],
)
def test_a_label_finds_its_decision(
    reader: LedgerReader, named: dict[str, str], target: tuple[str, str] | None
) -> None:
    assert reader.find_label_target(Label("l", True, "rule", NOW, **named)) == target


def test_a_label_finds_its_decision_by_content(reader: LedgerReader, validator: Validator) -> None:
    same = validator.validate(dict(reversed(SENT.items())))

    target = reader.find_label_target(Label("l", True, "rule", NOW, digest=same.digest))

    assert target == ("d-1", "t-1")


def test_an_unknown_decision_is_none(reader: LedgerReader) -> None:
    assert reader.find_decision("nobody", tenant="default") is None


def of_acme(validator: Validator, schema: Schema, number: int, transaction_id: str) -> JournalEntry:
    mine = entry(validator, schema, number, transaction_id=transaction_id)
    return msgspec.structs.replace(
        mine, decision=msgspec.structs.replace(mine.decision, transaction_id=f"acme\x1f{transaction_id}")
    )


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, schema: Schema, validator: Validator) -> Iterator[LedgerReader]:
    """The default tenant's t-1 (d-1), and acme's t-1 (d-3) and d-1 (d-4)."""
    ledger = Ledger(f"sqlite:///{tmp_path_factory.mktemp('tenants')}/ledger.db", schema=schema)
    ledger.migrate()
    theirs = [of_acme(validator, schema, 3, "t-1"), of_acme(validator, schema, 4, "d-1")]
    ledger.store([entry(validator, schema, 1), *theirs])
    ledger.store_label(label(3, "acme\x1fl-1", is_fraud=True, day=1))
    yield LedgerReader(ledger, schema)
    ledger.close()


def test_a_tenant_reads_its_own_decisions_under_the_ids_that_it_sent(shared: LedgerReader) -> None:
    found = shared.find_decision("t-1", tenant="acme")

    assert found is not None
    assert (found.decision["decision_id"], found.decision["transaction_id"]) == ("d-3", "t-1")
    assert (found.sent["transaction_id"], found.labels[0]["label_id"]) == ("t-1", "l-1")
    assert shared.find_decision("d-3", tenant="acme") == found
    history = shared.history_of("account", "acc-1", limit=9, tenant="acme")
    assert [one.decision["transaction_id"] for one in history] == ["d-1", "t-1"]
    assert [one.id for one in shared.list_decisions(DecisionFilter(tenant="acme"))] == [one.id for one in history]


def test_no_id_leads_to_another_tenants_decision(shared: LedgerReader) -> None:
    for an_id in ("d-3", "acme\x1ft-1", "acme\x1fd-1"):
        assert shared.find_decision(an_id, tenant="default") is None
    assert shared.find_decision("d-3", tenant="bolt") is None
    assert shared.history_of("account", "acme\x1facc-1", limit=9, tenant="default") == []
    assert [one.decision["decision_id"] for one in shared.list_decisions(DecisionFilter())] == ["d-1"]


def test_a_tenants_transaction_may_be_called_as_anothers_decision(shared: LedgerReader) -> None:
    found = shared.find_decision("d-1", tenant="acme")

    assert found is not None
    assert found.decision["decision_id"] == "d-4"
