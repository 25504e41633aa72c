"""The policy file: what its lists and rules decide, and how its mistakes are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from config.errors import SettingInvalid
from config.schema.model import Field, Roles, Schema
from config.setting_groups.places import DEFAULT_POLICY
from ml.exploration import Exploration
from ml.policy import Policy, apply_lists, load_policy, rules_decision

SCHEMA = Schema(
    name="payment",
    version=1,
    fields=(
        Field("amount", "number"),
        Field("account_id", "id", model=False, required=False),
        Field("category", "category"),
        Field("installments", "integer"),
        Field("abroad", "boolean"),
    ),
    roles=Roles(amount="amount", entities=(("account", "account_id"),)),
)


def policy_of(tmp_path: Path, text: str) -> Policy:
    path = tmp_path / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return load_policy(path, SCHEMA)


def payment(
    amount: float | None = 25.0,
    account: str | None = "acc-1",
    category: str = "grocery",
    *,
    installments: int = 1,
    abroad: bool = False,
) -> list[object]:
    return [amount, account, category, installments, abroad]


def test_the_default_policy_leaves_the_thresholds_to_the_model() -> None:
    policy = load_policy(DEFAULT_POLICY, SCHEMA)
    assert (policy.review, policy.decline) == (None, None)
    assert (policy.block, policy.allow) == ((), ())
    assert (policy.late, policy.late_by_client) == (None, {})
    assert apply_lists(payment(), policy) is None


def test_a_blocked_account_is_declined_whatever_its_score(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, '[block]\naccount = ["acc-1"]')
    listed = apply_lists(payment(account="acc-1"), policy)
    assert listed is not None
    assert (listed.action, listed.reason.code, listed.reason.feature) == (
        "decline",
        "BLOCK_LIST",
        "account_id",
    )
    assert listed.reason.direction == "raises"
    assert apply_lists(payment(account="acc-2"), policy) is None
    assert apply_lists(payment(account=None), policy) is None


def test_an_allowed_account_is_approved(tmp_path: Path) -> None:
    listed = apply_lists(payment(), policy_of(tmp_path, '[allow]\naccount_id = ["acc-1"]'))
    assert listed is not None
    assert (listed.action, listed.reason.code, listed.reason.direction) == ("approve", "ALLOW_LIST", "lowers")


def test_the_block_list_wins_over_the_allow_list(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, '[allow]\naccount = ["acc-1"]\n[block]\ncategory = ["casino"]')
    listed = apply_lists(payment(category="casino"), policy)
    assert listed is not None
    assert listed.action == "decline"


def test_integers_and_booleans_can_be_listed_too(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, "[block]\ninstallments = [36, 48]\nabroad = [true]")
    assert apply_lists(payment(installments=48), policy) is not None
    assert apply_lists(payment(abroad=True), policy) is not None
    assert apply_lists(payment(), policy) is None


@pytest.mark.parametrize(
    ("amount", "action", "code"),
    [
        (99.99, "approve", "FALLBACK_RULES"),
        (100.0, "review", "AMOUNT_RULE"),
        (999.99, "review", "AMOUNT_RULE"),
        (1000.0, "decline", "AMOUNT_RULE"),
        (None, "approve", "FALLBACK_RULES"),
    ],
)
def test_without_a_score_the_amount_decides(tmp_path: Path, amount: float | None, action: str, code: str) -> None:
    policy = policy_of(tmp_path, "[rules]\nreview_amount = 100\ndecline_amount = 1000.0")
    decision = rules_decision(payment(amount), policy)
    assert (decision.action, decision.reason.code) == (action, code)


def test_what_a_late_score_becomes_is_read_by_client(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, '[degradation]\nlate = "refuse"\n[degradation.clients]\ncheckout = "rules"')
    assert policy.late == "refuse"
    assert policy.late_by_client == {"checkout": "rules"}


def test_without_a_score_the_lists_still_come_first(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, '[rules]\ndecline_amount = 10\n[allow]\naccount = ["acc-1"]')
    assert rules_decision(payment(5000.0), policy).action == "approve"
    assert rules_decision(payment(5000.0, "acc-2"), policy).action == "decline"


def test_payments_that_no_rule_names_go_where_the_policy_says(tmp_path: Path) -> None:
    decision = rules_decision(payment(), policy_of(tmp_path, '[rules]\notherwise = "review"'))
    assert (decision.action, decision.reason.code) == ("review", "FALLBACK_RULES")


def test_stand_ins_for_the_missing_score_agree_with_the_action(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, "[rules]\nreview_amount = 100\ndecline_amount = 1000")
    told = [rules_decision(payment(amount), policy) for amount in (1.0, 100.0, 1000.0)]
    assert [(d.fraud_probability, d.risk_score, d.risk_level, d.is_fraud) for d in told] == [
        (0.0, 0, "low", False),
        (0.5, 60, "high", False),
        (1.0, 100, "critical", True),
    ]


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("[block]\nacount = []", "/block/acount", "has no such field; it has account, amount, account_id"),
        ("[block]\namount = [1.0]", "/block/amount", "only fields with exact values"),
        ('[allow]\naccount = "acc-1"', "/allow/account", "must be a list of str"),
        ("[allow]\naccount = [7]", "/allow/account", "must be a list of str"),
        ("[allow]\ninstallments = [true]", "/allow/installments", "must be a list of int"),
        ("[thresholds]\nreview = 0.2", "/thresholds", "both review and decline"),
        ("[thresholds]\nreview = 0.6\ndecline = 0.2", "/thresholds", "review must not be higher"),
        ("[thresholds]\nreview = 0.1\ndecline = 1.5", "/thresholds/decline", "is 1.5, must be 0 to 1"),
        ("[rules]\nreview_amount = -1", "/rules/review_amount", "must be at least 0"),
        ("[rules]\nreview_amount = true", "/rules/review_amount", "must be a number"),
        ("[rules]\nreview_amount = nan", "/rules/review_amount", "must be a number"),
        ("[rules]\nreview_amount = 9\ndecline_amount = 8", "/rules", "review must not be higher"),
        ('[rules]\notherwise = "reveiw"', "/rules/otherwise", "must be one of approve, review, decline"),
        ("[treshold]\nreview = 1", "/treshold", "unknown key; there may be allow, block"),
        ("[rules]\namount = 1", "/rules/amount", "unknown key"),
        ("block = 1", "/block", "must be a table"),
        ("version = 2", "/version", "reads version 1"),
        ('[degradation]\nlate = "drop"', "/degradation/late", "must be one of poll, refuse, rules"),
        ('[degradation]\nearly = "poll"', "/degradation/early", "unknown key; there may be clients, late"),
        ("[degradation]\nclients = 1", "/degradation/clients", "must be a table"),
        ("[degradation.clients]\nshop = 1", "/degradation/clients/shop", "must be one of poll, refuse, rules"),
        ('[degradation.clients]\n"a b" = "poll"', "/degradation/clients/a b", "1 to 64 visible ASCII characters"),
    ],
)
def test_a_mistake_is_told_with_its_key(tmp_path: Path, text: str, key: str, message: str) -> None:
    with pytest.raises(SettingInvalid, match="TOLLGATE_POLICY_FILE") as refused:
        policy_of(tmp_path, text)
    assert key in [error.pointer for error in refused.value.errors]
    assert message in str(refused.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid) as refused:
        policy_of(tmp_path, "[rules]\nreview_amount = -1\n[block]\nnobody = []\n[thresholds]\nreview = 2")
    assert len(refused.value.errors) == 3


@pytest.mark.parametrize("text", ["[rules", "\ufeff[rules]\nreview_amount = 1 = 2"])
def test_a_file_that_is_not_toml_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingInvalid, match=r"policy\.toml"):
        policy_of(tmp_path, text)


def test_a_missing_file_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match=r"nowhere\.toml"):
        load_policy(tmp_path / "nowhere.toml", SCHEMA)


def test_a_schema_without_an_amount_has_no_amount_rules() -> None:
    schema = Schema(name="plain", version=1, fields=(Field("x", "number"),), roles=Roles())
    policy = load_policy(DEFAULT_POLICY, schema)
    assert rules_decision([1e9], policy).reason.code == "FALLBACK_RULES"


def test_nothing_is_let_through_unless_the_file_says_so(tmp_path: Path) -> None:
    assert policy_of(tmp_path, "").exploration == Exploration(0.0, 0.0)
    given = policy_of(tmp_path, "[exploration]\nshare = 0.01\nmax_amount = 100").exploration
    assert given == Exploration(0.01, 100.0)
    assert given.covers("decline", 100.0)
    assert not given.covers("decline", 100.5)
    assert not given.covers("decline", None)
    assert not given.covers("review", 1.0)
    assert not Exploration(0.0, 100.0).covers("decline", 1.0)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("share = 0.5\nmax_amount = 1", r"exploration/share: is 0\.5"),
        ("share = 0.01", "must be capped"),
        ("max_amount = 5", "must be capped"),
        ('share = "much"\nmax_amount = 1', "must be a number"),
        ("share = 0.01\nmax_amount = -1", "at least 0"),
        ("share = 0.01\nmax_amount = 1\nseed = 3", "unknown key"),
    ],
)
def test_an_exploration_without_bounds_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SettingInvalid, match=complaint):
        policy_of(tmp_path, f"[exploration]\n{text}")


def test_exploration_needs_amounts_to_cap(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("[exploration]\nshare = 0.01\nmax_amount = 1")
    with pytest.raises(SettingInvalid, match="no amount"):
        load_policy(path, replace(SCHEMA, roles=Roles()))


def test_the_share_that_is_let_through_is_the_share_that_was_asked_for() -> None:
    exploration = Exploration(0.02, 100.0)
    passed = sum(exploration.lets_through(f"t-{number}") for number in range(50_000))
    assert 880 <= passed <= 1120  # 1000 expected, standard deviation 31


def test_costs_and_reviewers_have_defaults_and_take_what_the_file_says(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, "[costs]\nrefusal = 35\nchargeback_fee = 15.5\n[reviewers]\nper_day = 200\n")

    assert (policy.costs.refusal, policy.costs.chargeback_fee, policy.costs.review) == (35.0, 15.5, 2.5)
    assert (policy.reviewers.per_day, policy.reviewers.minutes) == (200.0, 5.0)
    assert policy_of(tmp_path, "").reviewers.per_day is None


@pytest.mark.parametrize(
    ("text", "pointer", "message"),
    [
        ("[costs]\nmargin = 1.5\n", "/costs/margin", "must be 0 to 1"),
        ("[costs]\nreview_misses = -0.1\n", "/costs/review_misses", "must be at least 0"),
        ("[costs]\nbribe = 3\n", "/costs/bribe", "unknown key"),
        ("[costs]\nrefusal = 'much'\n", "/costs/refusal", "must be a number"),
        ("[reviewers]\nminutes = 601\n", "/reviewers/minutes", "must be 0 to 600"),
        ("costs = 3\n", "/costs", "must be a table"),
    ],
)
def test_costs_that_make_no_sense_are_named(tmp_path: Path, text: str, pointer: str, message: str) -> None:
    with pytest.raises(SettingInvalid) as refused:
        policy_of(tmp_path, text)

    (mistake,) = refused.value.errors
    assert (mistake.pointer, message in mistake.message) == (pointer, True)
