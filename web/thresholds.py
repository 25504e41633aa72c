"""Advice on thresholds as the web side gives it: from the roll-up, with the policy file's costs and those asked for."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from config.errors import NotReady, SettingInvalid
from config.schema.model import Schema
from config.settings import Settings
from ml.advisor.report import Question, ThresholdReport, make_report, matured_range
from ml.policy import Policy
from ml.policy_in_force import policy_in_force
from ml.quality.cells import day_of
from ml.thresholds import Thresholds
from web.bundles import report_of
from web.ports.ledger import DecisionLedger


class ThresholdAdvisor:
    """Reads scores by day and the policy file. Every method raises LedgerUnavailable."""

    def __init__(self, ledger: DecisionLedger, settings: Settings, schema: Schema) -> None:
        self._ledger = ledger
        self._settings = settings
        self._schema = schema

    def policy(self) -> Policy:
        """The policy file as it is now: workers read it again at every reload. Raises NotReady."""
        try:
            return policy_in_force(self._settings, self._schema)
        except SettingInvalid as error:
            raise NotReady(f"the policy file cannot be used: {error.detail}") from error

    def thresholds_in_force(self, policy: Policy, champion: str | None) -> Thresholds | None:
        """The policy file's, else the champion's own; None where neither is known."""
        if policy.review is not None and policy.decline is not None:
            return Thresholds(policy.review, policy.decline)
        return _own_thresholds(self._settings.model_dir, champion) if champion else None

    def report(self, question: Question, *, now: datetime) -> ThresholdReport:
        """The advice, from the last matured days."""
        state = self._ledger.quality_state()
        if state is None:
            return make_report(question, [], None, None)
        newest = self._ledger.quality_newest_day(before=day_of(now + timedelta(days=1)))
        within = matured_range(question.days, state.delay, newest, now)
        scores = self._ledger.day_scores(since=within[0], until=within[1]) if within else []
        return make_report(question, scores, within, state)


def _own_thresholds(model_dir: Path, model_version: str) -> Thresholds | None:
    """Those that training chose, from the bundle's report."""
    try:
        return Thresholds(**report_of(model_dir, model_version)["thresholds"])
    except (KeyError, TypeError, ValueError):
        return None
