"""The policy file: what decides apart from the score. Scoring workers apply its lists to every payment; when no
score can be had, the web process decides by its rules alone, for the clients that the file wants that for. No
numpy here, for the web process's sake.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Final, Literal, get_args

from config.contracts import Action, LateFallback, Reason, RiskLevel
from config.errors import FieldError, SettingInvalid
from config.schema.model import Field, FieldType, Schema
from ml.costs import COST_BOUNDS, REVIEWER_BOUNDS, Bounds, CostMatrix, Reviewers, out_of_bounds
from ml.exploration import LARGEST_SHARE, Exploration

ReasonCode = Literal["BLOCK_LIST", "ALLOW_LIST", "AMOUNT_RULE", "FALLBACK_RULES"]
LIST_REASONS: Final[tuple[ReasonCode, ...]] = ("BLOCK_LIST", "ALLOW_LIST")
"""The reasons of a payment that a list decided, whatever its score."""

_TABLES: Final = {
    "version", "thresholds", "rules", "block", "allow", "degradation", "exploration", "costs", "reviewers",
}  # fmt: skip
_ACTIONS: Final = get_args(Action)
_FALLBACKS: Final = get_args(LateFallback)
CLIENT_NAME: Final = re.compile(r"[!-~]{1,64}")
"""What a client may call itself: visible ASCII."""
_LISTABLE: Final[dict[FieldType, type]] = {
    "id": str, "string": str, "category": str, "integer": int, "boolean": bool,
}  # fmt: skip
_STANDS_FOR: Final[dict[Action, tuple[float, int, RiskLevel]]] = {
    "approve": (0.0, 0, "low"),
    "review": (0.5, 60, "high"),
    "decline": (1.0, 100, "critical"),
}


@dataclass(frozen=True, slots=True)
class ListRule:
    """One field's listed values; `position` is the field's place in a transaction's `values`."""

    field: str
    position: int
    values: frozenset[object]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy file, checked against its schema.

    `review` and `decline`: fraud probabilities (0..1) in place of the model bundle's, both or neither.
    `review_amount`, `decline_amount`: amounts from which the rules alone review or decline; None: no such rule.
    `otherwise`: what the rules do with all other payments.
    `late`: what a late score becomes, in place of the setting's; `late_by_client`: the same for clients by name.
    `exploration`: which declines are let through to learn from them.
    `costs`, `reviewers`: what mistakes cost and how much can be looked at, for advice on thresholds.
    """

    review: float | None = None
    decline: float | None = None
    review_amount: float | None = None
    decline_amount: float | None = None
    otherwise: Action = "approve"
    block: tuple[ListRule, ...] = ()
    allow: tuple[ListRule, ...] = ()
    amount_field: str | None = None
    amount_position: int | None = None
    late: LateFallback | None = None
    late_by_client: Mapping[str, LateFallback] = field(default_factory=dict)
    exploration: Exploration = field(default_factory=Exploration)
    costs: CostMatrix = field(default_factory=CostMatrix)
    reviewers: Reviewers = field(default_factory=Reviewers)


@dataclass(frozen=True, slots=True)
class Listed:
    """A transaction is on a list: what to do with it, whatever its score, and why."""

    action: Action
    reason: Reason


@dataclass(frozen=True, slots=True)
class RulesDecision:
    """A decision without a score. The probability and the risk score only stand for the action: 0, 0.5, 1."""

    action: Action
    reason: Reason

    @property
    def fraud_probability(self) -> float:
        return _STANDS_FOR[self.action][0]

    @property
    def risk_score(self) -> int:
        return _STANDS_FOR[self.action][1]

    @property
    def risk_level(self) -> RiskLevel:
        return _STANDS_FOR[self.action][2]

    @property
    def is_fraud(self) -> bool:
        return self.action == "decline"


def apply_lists(values: Sequence[Any], policy: Policy) -> Listed | None:
    """Decline what is on the block list, approve what is on the allow list (and not blocked), else None.

    `values`: one per schema field in file order.
    """
    for rule in policy.block:
        if values[rule.position] in rule.values:
            return Listed("decline", _reason("BLOCK_LIST", rule.field, "decline", f"{rule.field} is blocked"))
    for rule in policy.allow:
        if values[rule.position] in rule.values:
            return Listed("approve", _reason("ALLOW_LIST", rule.field, "approve", f"{rule.field} is allowed"))
    return None


def rules_decision(values: Sequence[Any], policy: Policy) -> RulesDecision:
    """What the policy decides alone: lists first, then amounts, then `otherwise`. The caller marks it degraded."""
    listed = apply_lists(values, policy)
    if listed is not None:
        return RulesDecision(listed.action, listed.reason)
    amount = None if policy.amount_position is None else values[policy.amount_position]
    limits: tuple[tuple[Action, float | None], ...] = (
        ("decline", policy.decline_amount),
        ("review", policy.review_amount),
    )
    for action, limit in limits:
        if amount is not None and limit is not None and amount >= limit:
            return _by_amount(action, limit, policy.amount_field or "")
    reason = _reason("FALLBACK_RULES", "", policy.otherwise, "no score could be had and no rule applies")
    return RulesDecision(policy.otherwise, reason)


def load_policy(path: Path, schema: Schema) -> Policy:
    """Read a policy file for transactions of this schema.

    Raises:
        SettingInvalid: the file cannot be read, or has mistakes; the message names each by its key.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingInvalid(f"TOLLGATE_POLICY_FILE: {path}: {error}") from error
    reader = _Reader(content, schema)
    policy = reader.policy()
    if reader.problems:
        told = "; ".join(f"{problem.pointer}: {problem.message}" for problem in reader.problems)
        raise SettingInvalid(f"TOLLGATE_POLICY_FILE: {path}: {told}", errors=tuple(reader.problems))
    return policy


class _Reader:
    """Turns a parsed policy file into a Policy and collects everything wrong with it."""

    def __init__(self, content: Mapping[str, Any], schema: Schema) -> None:
        self.problems: list[FieldError] = []
        self._content = content
        self._schema = schema
        self._entities = dict(schema.roles.entities)
        self._positions = {field.name: place for place, field in enumerate(schema.fields)}

    def policy(self) -> Policy:
        self._allow_only("", self._content, _TABLES)
        if self._content.get("version", 1) != 1:
            self._problem("version", f"is {self._content['version']!r}; this Tollgate reads version 1")
        thresholds = self._table("thresholds", {"review", "decline"})
        rules = self._table("rules", {"review_amount", "decline_amount", "otherwise"})
        degradation = self._table("degradation", {"late", "clients"})
        exploration = self._table("exploration", {"share", "max_amount"})
        amount = self._schema.roles.amount
        policy = Policy(
            review=self._number("thresholds.review", thresholds.get("review"), most=1.0),
            decline=self._number("thresholds.decline", thresholds.get("decline"), most=1.0),
            review_amount=self._number("rules.review_amount", rules.get("review_amount")),
            decline_amount=self._number("rules.decline_amount", rules.get("decline_amount")),
            otherwise=self._action("rules.otherwise", rules.get("otherwise", "approve")),
            block=tuple(self._lists("block")),
            allow=tuple(self._lists("allow")),
            amount_field=amount,
            amount_position=None if amount is None else self._positions[amount],
            late=self._fallback("degradation.late", degradation.get("late")),
            late_by_client=dict(self._fallbacks("degradation.clients", degradation.get("clients", {}))),
            exploration=self._exploration(exploration),
            costs=CostMatrix(**self._numbers("costs", COST_BOUNDS)),
            reviewers=Reviewers(**self._numbers("reviewers", REVIEWER_BOUNDS)),
        )
        self._check_order(policy)
        return policy

    def _exploration(self, table: Mapping[str, Any]) -> Exploration:
        if not table:
            return Exploration()
        share = self._number("exploration.share", table.get("share"), most=LARGEST_SHARE)
        most = self._number("exploration.max_amount", table.get("max_amount"))
        if table.keys() != {"share", "max_amount"}:
            self._problem("exploration", "give both share and max_amount: what is let through must be capped")
        elif self._schema.roles.amount is None:
            self._problem("exploration", f"schema {self._schema.name!r} has no amount to cap")
        return Exploration(share or 0.0, most or 0.0)

    def _numbers(self, table: str, bounds: Mapping[str, Bounds]) -> dict[str, float]:
        """The numbers of a table that are given and allowed."""
        read = {name: self._number(f"{table}.{name}", value) for name, value in self._table(table, set(bounds)).items()}
        given = {name: value for name, value in read.items() if name in bounds and value is not None}
        wrong = list(out_of_bounds(table, given, bounds))
        self.problems += wrong
        return {} if wrong else given

    def _check_order(self, policy: Policy) -> None:
        if (policy.review is None) != (policy.decline is None):
            self._problem("thresholds", "give both review and decline, or neither (then the model's own hold)")
        for table, low, high in (
            ("thresholds", policy.review, policy.decline),
            ("rules", policy.review_amount, policy.decline_amount),
        ):
            if low is not None and high is not None and low > high:
                self._problem(table, f"reviews from {low:g} but declines from {high:g}: review must not be higher")

    def _lists(self, table: str) -> Iterator[ListRule]:
        for key, listed in self._table(table, None).items():
            name = self._entities.get(key, key)
            field = next((field for field in self._schema.fields if field.name == name), None)
            if field is None:
                known = ", ".join([*self._entities, *self._positions])
                self._problem(f"{table}.{key}", f"schema {self._schema.name!r} has no such field; it has {known}")
            elif self._can_be_listed(f"{table}.{key}", field, listed):
                yield ListRule(field.name, self._positions[field.name], frozenset(listed))

    def _can_be_listed(self, key: str, field: Field, listed: object) -> bool:
        wanted = _LISTABLE.get(field.type)
        if wanted is None:
            self._problem(key, f"is a {field.type}; only fields with exact values can be listed")
        elif not isinstance(listed, list) or any(type(value) is not wanted for value in listed):
            self._problem(key, f"must be a list of {wanted.__name__} values, got {listed!r}")
        else:
            return True
        return False

    def _table(self, name: str, allowed: set[str] | None) -> Mapping[str, Any]:
        table = self._content.get(name, {})
        if not isinstance(table, dict):
            self._problem(name, f"must be a table, got {table!r}")
            return {}
        if allowed is not None:
            self._allow_only(f"{name}.", table, allowed)
        return table

    def _allow_only(self, prefix: str, table: Mapping[str, Any], allowed: set[str]) -> None:
        for key in table.keys() - allowed:
            self._problem(f"{prefix}{key}", f"unknown key; there may be {', '.join(sorted(allowed))}")

    def _number(self, key: str, value: object, *, most: float | None = None) -> float | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            self._problem(key, f"must be a number, got {value!r}")
        elif value < 0 or (most is not None and value > most):
            self._problem(key, f"is {value!r}, must be {'at least 0' if most is None else f'0 to {most:g}'}")
        else:
            return float(value)
        return None

    def _action(self, key: str, value: Any) -> Action:
        if value not in _ACTIONS:
            self._problem(key, f"is {value!r}, must be one of {', '.join(_ACTIONS)}")
            return "approve"
        action: Action = value
        return action

    def _fallbacks(self, key: str, clients: object) -> Iterator[tuple[str, LateFallback]]:
        if not isinstance(clients, dict):
            self._problem(key, f"must be a table, got {clients!r}")
            return
        for name, value in clients.items():
            fallback = self._fallback(f"{key}.{name}", value)
            if not CLIENT_NAME.fullmatch(name):
                self._problem(f"{key}.{name}", "a client's name has 1 to 64 visible ASCII characters")
            elif fallback is not None:
                yield name, fallback

    def _fallback(self, key: str, value: Any) -> LateFallback | None:
        if value is not None and value not in _FALLBACKS:
            self._problem(key, f"is {value!r}, must be one of {', '.join(_FALLBACKS)}")
            return None
        fallback: LateFallback | None = value
        return fallback

    def _problem(self, key: str, message: str) -> None:
        self.problems.append(FieldError(f"/{key.replace('.', '/')}", "invalid_policy", message))


def _by_amount(action: Action, limit: float, field: str) -> RulesDecision:
    reason = _reason("AMOUNT_RULE", field, action, f"{field} is {limit:g} or more, and no score could be had")
    return RulesDecision(action, reason)


def _reason(code: ReasonCode, field: str, action: Action, message: str) -> Reason:
    """A reason that is no part of the score: its impact in log-odds is 0."""
    direction: Literal["raises", "lowers"] = "lowers" if action == "approve" else "raises"
    return Reason(code=code, feature=field, direction=direction, impact=0.0, message=message)
