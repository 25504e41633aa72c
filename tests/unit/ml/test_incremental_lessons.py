"""When the truth about a decision is known, and that it is learned once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.contracts import LabelPolicy
from config.schema.load import load_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from ml.features.spec import FeatureSpec
from ml.incremental.lessons import lessons_between, truth_at
from ml.ledger.judged import RowIds
from ml.ledger.settled import Horizon, SettlingRow, Verdict

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SPEC = FeatureSpec.from_schema(load_schema(DEFAULT_SCHEMA))
YOUNG = Horizon(RowIds(decision=5, label=5), NOON - DAY)
MATURED = Horizon(RowIds(decision=5, label=5), NOON)
LATER = Horizon(RowIds(decision=9, label=9), NOON)


def row(*verdicts: Verdict, **changes: Any) -> SettlingRow:
    given: dict[str, Any] = {
        "id": 3,
        "decision_id": "d-3",
        "event_at": NOON,
        "event_time_s": NOON.timestamp(),
        "scored_at": NOON,
        "amount": 10.0,
        "fraud_probability": 0.2,
        "action": "approve",
        "propensity": 1.0,
        "sent_values": [None] * len(SPEC.schema.fields),
        "features": bytes(8 * len(SPEC.columns)),
    }
    return SettlingRow(**(given | changes), verdicts=verdicts)


def said(is_fraud: bool, *, id: int = 1, days: int = 1) -> Verdict:
    return Verdict(id, NOON + days * DAY, is_fraud)


@pytest.mark.parametrize(
    ("given", "policy", "young", "matured"),
    [
        (row(), "chargebacks", None, False),
        (row(), "explicit", None, None),
        (row(said(True)), "chargebacks", True, True),
        (row(said(False)), "explicit", None, False),
        (row(action="decline"), "chargebacks", None, None),
        (row(said(False), action="decline"), "chargebacks", None, False),
        (row(said(True), action="decline", propensity=0.9), "chargebacks", None, None),
        (row(propensity=0.1), "chargebacks", None, False),
        (row(said(True, id=6)), "chargebacks", None, False),
        (row(said(True, id=1, days=1), said(False, id=2, days=2)), "chargebacks", None, False),
        (row(said(True, id=2, days=2), said(False, id=1, days=1)), "chargebacks", True, True),
        (row(said(True), id=6), "chargebacks", None, None),
    ],
)
def test_a_fraud_is_known_with_its_label_and_a_genuine_one_when_it_has_matured(
    given: SettlingRow, policy: LabelPolicy, young: bool | None, matured: bool | None
) -> None:
    assert truth_at(given, YOUNG, policy) is young
    assert truth_at(given, MATURED, policy) is matured


def learned(given: SettlingRow, last: Horizon, now: Horizon) -> list[float]:
    return lessons_between([given], last, now, spec=SPEC, policy="chargebacks").y.tolist()


def test_a_verdict_is_one_lesson_and_a_new_verdict_another() -> None:
    fraud, again = row(said(True)), row(said(True), said(True, id=8, days=3))
    late, overturned = row(said(True, id=8)), row(said(True), said(False, id=8, days=3))

    assert learned(fraud, YOUNG, MATURED) == []
    assert learned(again, MATURED, LATER) == []
    assert learned(row(), YOUNG, MATURED) == [0.0]
    assert learned(late, MATURED, LATER) == [1.0]
    assert learned(overturned, MATURED, LATER) == [0.0]


def test_what_was_let_through_stands_for_what_was_held_back() -> None:
    lessons = lessons_between([row(propensity=0.05)], YOUNG, MATURED, spec=SPEC, policy="chargebacks")

    assert lessons.weight.tolist() == pytest.approx([20.0])


def test_decisions_with_other_columns_are_left_out() -> None:
    assert learned(row(features=b""), YOUNG, MATURED) == []
