"""From observed rows to finished ones, with a small stand-in for the bundle: its parts are tested elsewhere."""

from __future__ import annotations

import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from config.contracts import Decision, JournalRecord, Reason, ScoreRow
from config.schema.load import parse_schema
from config.schema.model import Schema
from ml.decisions import Thresholds
from ml.exploration import Exploration
from ml.features.online import Featurizer
from ml.features.spec import FeatureSpec
from ml.policy import ListRule, Policy, load_policy, rules_decision
from workers.scorer import BatchScorer
from workers.store import CANARY, NEW, Finished, Observed

SCHEMA = """
name = "tiny"
version = 1

[roles]
amount = "amount"

[fields.amount]
type = "number"

[fields.country]
type = "category"
required = false
model = false
"""


class TinyBundle:
    """Probability = amount / 1000; an amount above 1000 breaks the model, as a poison row would."""

    model_version = "tiny-1"
    digest = "d" * 64
    thresholds = Thresholds(review=0.3, decline=0.7)

    def __init__(self) -> None:
        self.schema: Schema = parse_schema(SCHEMA)
        self.spec = FeatureSpec.from_schema(self.schema)
        self.featurizer = Featurizer(self.spec, {})
        self.columns = [SimpleNamespace(name="amount", label="amount", unit=None, values=None, typical=20.0)]

    def score(self, X: Any) -> Any:
        if (X[:, 0] > 1000).any():
            raise FloatingPointError("poison")
        return X[:, 0] / 1000

    def contributions(self, X: Any) -> Any:
        return X[:, :1] / 100


def make_scorer(policy: Policy | None = None) -> BatchScorer:
    bundle: Any = TinyBundle()
    return BatchScorer(bundle, policy or Policy(), explain_above=0.3, reasons_max=3)


def observed(amount: float, *, status: str = "S", explain: bool = False, country: str | None = None) -> Observed:
    row = ScoreRow(f"t{amount:g}", "0" * 16, 0, 1_700_000_000_000, [amount, country], explain, status == CANARY)
    return Observed(row, status, sequence=7, event_at_s=1_700_000_000.0, logs=[])


def decision(finished: Finished) -> Decision:
    return msgspec.json.decode(finished.decision, type=Decision)


def test_a_batch_comes_back_in_order_with_each_rows_own_decision() -> None:
    finished = make_scorer().finish([observed(100), observed(500), observed(900)])

    assert [item.status for item in finished] == [NEW] * 3
    assert [decision(item).transaction_id for item in finished] == ["t100", "t500", "t900"]
    assert [decision(item).action for item in finished] == ["approve", "review", "decline"]
    assert [item.action for item in finished] == ["approve", "review", "decline"]
    assert [decision(item).is_fraud for item in finished] == [False, False, True]
    assert len({decision(item).decision_id for item in finished}) == 3


def test_the_ledger_is_told_who_sent_a_payment() -> None:
    row = msgspec.structs.replace(observed(100).row, client="key:shop")

    [finished] = make_scorer().finish([msgspec.structs.replace(observed(100), row=row)])

    assert msgspec.json.decode(finished.record, type=JournalRecord).client == "key:shop"


def test_a_poison_row_fails_alone() -> None:
    finished = make_scorer().finish([observed(100), observed(5000), observed(900)])

    assert [item.status for item in finished] == [NEW, "E", NEW]


def test_rows_that_need_no_score_pass_through() -> None:
    duplicate = Observed(observed(1).row, "D", decision=b'{"stored": true}')
    late = Observed(observed(2).row, "X")

    finished = make_scorer().finish([duplicate, observed(100), late])

    assert [item.status for item in finished] == ["D", NEW, "X"]
    assert finished[0].decision == b'{"stored": true}'


def test_risky_rows_and_rows_that_ask_carry_reasons() -> None:
    quiet, asked, risky = make_scorer().finish([observed(100), observed(200, explain=True), observed(400)])

    assert decision(quiet).reasons == []
    assert [reason.code for reason in decision(asked).reasons] == ["AMOUNT_HIGH"]
    assert decision(risky).reasons == [
        Reason("AMOUNT_HIGH", "amount", "raises", 4.0, "amount is 400, above the usual 20")
    ]


def test_the_lists_of_the_policy_win_over_the_score() -> None:
    policy = Policy(
        block=(ListRule("country", 1, frozenset({"XX"})),), allow=(ListRule("country", 1, frozenset({"AA"})),)
    )
    blocked, allowed = make_scorer(policy).finish([observed(100, country="XX"), observed(900, country="AA")])

    assert (decision(blocked).action, decision(blocked).is_fraud) == ("decline", True)
    assert decision(blocked).reasons[0].code == "BLOCK_LIST"
    assert (decision(allowed).action, decision(allowed).is_fraud) == ("approve", False)


def test_the_policys_thresholds_replace_the_models() -> None:
    (finished,) = make_scorer(Policy(review=0.05, decline=0.09)).finish([observed(100)])

    assert decision(finished).action == "decline"


def test_one_policy_file_decides_in_normal_operation_and_without_a_score(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(
        "[thresholds]\nreview = 0.05\ndecline = 0.09\n[rules]\nreview_amount = 300\ndecline_amount = 800\n"
        '[block]\ncountry = ["XX"]\n[allow]\ncountry = ["AA"]\n'
    )
    policy = load_policy(path, parse_schema(SCHEMA))
    payments = [(40.0, None), (60.0, None), (100.0, None), (40.0, "XX"), (900.0, "AA"), (900.0, None)]

    scored = make_scorer(policy).finish([observed(amount, country=country) for amount, country in payments])
    ruled = [rules_decision([amount, country], policy) for amount, country in payments]

    assert [item.action for item in scored] == ["approve", "review", "decline", "decline", "approve", "decline"]
    assert [item.action for item in ruled] == ["approve", "approve", "approve", "decline", "approve", "decline"]


def test_the_record_holds_what_replay_needs() -> None:
    (finished,) = make_scorer().finish([observed(100)])
    record = msgspec.json.decode(finished.record, type=JournalRecord)

    assert (record.sequence, record.amount, record.values) == (7, 100.0, [100.0, None])
    assert record.model_digest == "d" * 64
    assert finished.features == struct.pack("<d", 100.0)


def test_a_canary_is_scored_and_has_nothing_to_store() -> None:
    (finished,) = make_scorer().finish([observed(100, status=CANARY)])

    assert finished.status == CANARY
    assert decision(finished).fraud_probability == pytest.approx(0.1)
    assert finished.record == b""


def test_an_empty_batch_is_no_work() -> None:
    assert make_scorer().finish([]) == []
    assert np.isnan(TinyBundle().featurizer.assemble([[None, None]], [[]], [0.0]).X[0, 0])


EXPLORING = Policy(exploration=Exploration(share=0.1, max_amount=950.0))


def decline(name: str, amount: float = 900.0, *, status: str = "S") -> Observed:
    item = observed(amount, status=status)
    return msgspec.structs.replace(item, row=msgspec.structs.replace(item.row, transaction_id=name))


def propensity(finished: Finished) -> float:
    return msgspec.json.decode(finished.record, type=JournalRecord).propensity


def test_a_small_share_of_declines_passes_says_so_and_carries_its_chance() -> None:
    finished = make_scorer(EXPLORING).finish([decline(f"d-{number}") for number in range(3000)])

    passed = [item for item in finished if decision(item).action == "approve"]
    assert 240 <= len(passed) <= 360  # 300 expected, standard deviation 16
    first = decision(passed[0])
    assert (first.is_fraud, first.risk_level, first.fraud_probability) == (False, "critical", 0.9)
    assert first.reasons[0].code == "EXPLORATION"
    assert {propensity(item) for item in passed} == {0.1}
    assert {propensity(item) for item in finished if decision(item).action == "decline"} == {0.9}


def test_a_redelivered_decline_is_let_through_again_or_again_not() -> None:
    rows = [decline(f"d-{number}") for number in range(100)]

    first, second = (
        [decision(item).action for item in make_scorer(EXPLORING).finish(rows)],
        [decision(item).action for item in make_scorer(EXPLORING).finish(rows[::-1])][::-1],
    )

    assert first == second
    assert "approve" in first


def test_nothing_else_is_let_through() -> None:
    everything = Policy(
        exploration=Exploration(share=0.1, max_amount=950.0), block=(ListRule("country", 1, frozenset({"XX"})),)
    )
    too_large = [decline(f"d-{number}", 960.0) for number in range(100)]
    canaries = [decline(f"d-{number}", status=CANARY) for number in range(100)]
    reviewed = [decline(f"d-{number}", 500.0) for number in range(100)]

    scorer = make_scorer(everything)

    assert {decision(item).action for item in scorer.finish([*too_large, *canaries])} == {"decline"}
    assert {(decision(item).action, propensity(item)) for item in scorer.finish(reviewed)} == {("review", 1.0)}
    blocked = [observed(100 + number, country="XX") for number in range(100)]
    assert {(decision(item).action, propensity(item)) for item in scorer.finish(blocked)} == {("decline", 1.0)}


def test_without_exploration_every_decline_is_certain() -> None:
    finished = make_scorer().finish([decline(f"d-{number}") for number in range(50)])

    assert {(decision(item).action, propensity(item)) for item in finished} == {("decline", 1.0)}
