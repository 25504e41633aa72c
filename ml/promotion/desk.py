"""Promotion, rollback and retraining as every caller starts them: one order of steps, every one recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec
import redis

from config.contracts import ChampionPointer
from config.errors import BrokerUnavailable, BundleRefused, ModelRefused, NotReady, PromotionRefused, UnknownId
from config.schema.model import Schema
from config.settings import Settings
from ml.bundle_files import read_files, read_manifest
from ml.ledger import Ledger, ModelEvent
from ml.ledger.model_events import ModelAction
from ml.registry import StoredBundle, find_bundles, is_for_schema, promote, read_champion

if TYPE_CHECKING:
    from ml.gate.verdict import GateReport
    from ml.training.served import ServedRows

EVENTS_SEARCHED: Final = 1000
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Retrained:
    """A new model and what became of it. `report`: the gate's; None when there was no champion to compare with."""

    model_version: str
    report: GateReport | None
    pointer: ChampionPointer | None


@dataclass(frozen=True, slots=True)
class Desk:
    """What decides about models works with. Every method raises BrokerUnavailable and LedgerUnavailable.

    Telling the workers, and MLflow, is left to the caller: neither may hold up a swap.
    """

    settings: Settings
    client: redis.Redis
    ledger: Ledger
    schema: Schema

    def promote(self, model_version: str, *, actor: str, force: bool, now: datetime) -> ChampionPointer:
        """Make a model the champion if the gate says so; with `force`, whatever it would say.

        Raises:
            UnknownId: there is no such model.
            BundleRefused: its files are not what was published, or it is for another schema.
            PromotionRefused: the gate does not promote it, or there is no evidence to judge by; it is recorded.
        """
        stored, champion = self.bundle(model_version), self.champion()
        if force or champion is None:
            self._require_intact(stored)
            why = "forced: the gate was not asked" if force else "there was no champion to compare with"
            return self._move(stored, champion, actor=actor, action="promoted", reasons=[why], now=now)
        try:
            report = self.judge(stored, champion, now=now)
        except ModelRefused as error:
            raise PromotionRefused(f"{error.detail}; force promotes all the same") from error
        if report.outcome == "promote":
            return self._move(stored, champion, actor=actor, action="promoted", reasons=report.reasons, now=now)
        self._record_kept(report, actor=actor, now=now)
        raise PromotionRefused(f"the gate says {report.outcome}: {'; '.join(report.reasons)}")

    def roll_back(self, *, actor: str, now: datetime) -> ChampionPointer:
        """Make the model that the champion replaced the champion again. No gate: the way back must be short.

        Raises:
            NotReady: no model is promoted.
            UnknownId: the audit trail knows no earlier champion, or its bundle is gone.
            BundleRefused: its files are not what was published.
        """
        champion = self.champion()
        if champion is None:
            raise NotReady("no model is promoted, so there is nothing to roll back")
        stored = self.bundle(self._replaced_by(champion.model_version))
        self._require_intact(stored)
        return self._move(stored, champion, actor=actor, action="rolled_back", reasons=[], now=now)

    def retrain(self, *, actor: str, now: datetime, say: Say) -> Retrained:
        """Train on the ledger, compare with the champion, promote what the gate promotes. Minutes of work.

        Raises:
            ModelRefused: too few matured labels, or a model that must not serve; it is recorded.
        """
        # Imported here: the science takes seconds, and a rollback must not wait for it.
        from ml.promotion.judging import read_matured
        from ml.promotion.retraining import train_on

        say("reading the ledger")
        rows = read_matured(self.settings, self.ledger, self.schema, as_of=now)
        try:
            stored = train_on(self.settings, rows, now=now, say=say)
        except ModelRefused as error:
            self._record("training_failed", None, None, [error.detail], actor=actor, now=now)
            raise
        champion = self.champion()
        if champion is None:
            pointer = self._move(
                stored, None, actor=actor, action="promoted", reasons=["the first model of its schema"], now=now
            )
            return Retrained(stored.model_version, None, pointer)
        say("comparing with the champion")
        report = self.judge(stored, champion, now=now, rows=rows)
        if report.outcome != "promote":
            self._record_kept(report, actor=actor, now=now)
            return Retrained(stored.model_version, report, None)
        pointer = self._move(stored, champion, actor=actor, action="promoted", reasons=report.reasons, now=now)
        return Retrained(stored.model_version, report, pointer)

    def judge(
        self, stored: StoredBundle, champion: ChampionPointer, *, now: datetime, rows: ServedRows | None = None
    ) -> GateReport:
        """Ask the gate, and keep its report beside the bundle and in MLflow. Raises ModelRefused, BundleRefused."""
        # Imported here: see `retrain`.
        from ml.promotion.judging import judge, read_matured, write_report
        from ml.training.tracking import log_gate

        if rows is None:
            rows = read_matured(self.settings, self.ledger, self.schema, as_of=now)
        report = judge(self.settings, rows, champion, stored, as_of=now)
        encoded = msgspec.json.format(msgspec.json.encode(report), indent=2)
        write_report(self.settings.model_dir / stored.path, encoded)
        log_gate(self.settings, stored.model_version, report.outcome, encoded)
        return report

    def record_thresholds(self, model_version: str | None, reasons: list[str], *, actor: str, now: datetime) -> None:
        """Note in the audit trail that the policy file has other thresholds now. `model_version`: the champion."""
        self._record("thresholds_set", model_version, model_version, reasons, actor=actor, now=now)

    def bundle(self, model_version: str) -> StoredBundle:
        """The bundle of this name. Raises UnknownId."""
        found = find_bundles(self.settings.model_dir)
        stored = next((bundle for bundle in found if bundle.model_version == model_version), None)
        if stored is None:
            raise UnknownId(f"{self.settings.model_dir} has no model {model_version}")
        return stored

    def champion(self) -> ChampionPointer | None:
        """The champion of this schema; None when there is none, or one of another schema."""
        try:
            pointer = read_champion(self.client)
        except redis.RedisError as error:
            raise _broker_gone(error) from error
        if pointer is None or not is_for_schema(pointer, self.settings.model_dir, self.schema.digest):
            return None
        return pointer

    def _require_intact(self, stored: StoredBundle) -> None:
        """Every file is what was published; whether it scores as it should, each worker checks when it loads it."""
        manifest, _ = read_manifest(self.settings.model_dir / stored.path, stored.digest)
        read_files(self.settings.model_dir / stored.path, manifest, ())
        if stored.schema_digest != self.schema.digest:
            raise BundleRefused(f"{stored.model_version} was trained for schema {stored.schema_digest}")

    def _replaced_by(self, model_version: str) -> str:
        for event in self.ledger.model_events(EVENTS_SEARCHED):
            if event.action == "promoted" and event.to_version == model_version and event.from_version:
                return event.from_version
        raise UnknownId(f"the audit trail does not say which model {model_version} replaced")

    def _move(
        self,
        stored: StoredBundle,
        champion: ChampionPointer | None,
        *,
        actor: str,
        action: ModelAction,
        reasons: list[str],
        now: datetime,
    ) -> ChampionPointer:
        """Record first: a swap that nobody could explain later is worse than a record of one that did not happen."""
        from_version = champion.model_version if champion else None
        self._record(action, from_version, stored.model_version, reasons, actor=actor, now=now)
        try:
            pointer = promote(self.client, self.settings.model_dir, stored)
        except redis.RedisError as error:
            undone = [f"the broker did not answer, so {action} did not happen"]
            self._record("kept_shadowing", from_version, stored.model_version, undone, actor=actor, now=now)
            raise _broker_gone(error) from error
        return pointer

    def _record_kept(self, report: GateReport, *, actor: str, now: datetime) -> None:
        action: ModelAction = "rejected" if report.outcome == "reject" else "kept_shadowing"
        self._record(action, report.champion, report.challenger, report.reasons, actor=actor, now=now)

    def _record(
        self,
        action: ModelAction,
        from_version: str | None,
        to_version: str | None,
        reasons: list[str],
        *,
        actor: str,
        now: datetime,
    ) -> None:
        self.ledger.record_model_event(
            ModelEvent(
                at=now,
                actor=actor,
                action=action,
                from_version=from_version,
                to_version=to_version,
                reasons=reasons,
            )
        )


def _broker_gone(error: redis.RedisError) -> BrokerUnavailable:
    return BrokerUnavailable(f"the broker does not answer, nothing was changed: {error}")
