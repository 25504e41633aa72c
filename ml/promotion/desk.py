"""Promotion, rollback and retraining as every caller starts them: one order of steps, every one recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from config.contracts import ChampionPointer
from config.errors import BundleRefused, ModelRefused, NotReady, PromotionRefused, UnknownId
from ml.promotion.pointers import Pointers
from ml.promotion.trail import Trail
from ml.registry import StoredBundle

if TYPE_CHECKING:
    from ml.gate.verdict import GateReport
    from ml.training.served import ServedRows

EVENTS_SEARCHED: Final = 1000
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Retrained:
    """A model and what became of it. `report`: the gate's; None when there was no champion to compare with.
    `pointer`: None when it is not the champion, or not yet: it may run as a canary first.
    """

    model_version: str
    report: GateReport | None
    pointer: ChampionPointer | None


@dataclass(frozen=True, slots=True)
class Desk(Pointers):
    """What decides about models works with. Every method raises BrokerUnavailable and LedgerUnavailable.

    Telling the workers, and MLflow, is left to the caller: neither may hold up a swap.
    """

    def force(self, model_version: str, *, actor: str, now: datetime) -> ChampionPointer:
        """Make a model the champion at once, whatever the gate would say. Raises UnknownId, BundleRefused."""
        stored = self.bundle(model_version)
        self.require_intact(stored)
        trail = Trail(self.ledger, actor, now)
        return self.move(stored, self.champion(), "promoted", ["forced: the gate was not asked"], trail)

    def promote(self, model_version: str, *, actor: str, now: datetime) -> ChampionPointer | None:
        """Make a model the champion if the gate says so.

        None: it runs as a canary first (`TOLLGATE_CANARY_SHARE`).

        Raises:
            UnknownId: there is no such model.
            BundleRefused: its files are not what was published, or it is for another schema.
            PromotionRefused: the gate does not promote it, or there is no evidence to judge by; it is recorded.
        """
        stored, champion, trail = self.bundle(model_version), self.champion(), Trail(self.ledger, actor, now)
        if champion is None:
            self.require_intact(stored)
            return self.move(stored, None, "promoted", ["there was no champion to compare with"], trail)
        try:
            report = self.judge(stored, champion, now=now)
        except ModelRefused as error:
            raise PromotionRefused(f"{error.detail}; force promotes all the same") from error
        if report.outcome == "promote":
            return self.approve(stored, champion, report, trail)
        self.keep(stored, champion, report, trail)
        raise PromotionRefused(f"the gate says {report.outcome}: {'; '.join(report.reasons)}")

    def roll_back(self, *, actor: str, now: datetime, reasons: Sequence[str] = ()) -> ChampionPointer:
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
        self.require_intact(stored)
        return self.move(stored, champion, "rolled_back", list(reasons), Trail(self.ledger, actor, now))

    def retrain(self, *, actor: str, now: datetime, say: Say) -> Retrained:
        """Train on the ledger, compare with the champion, promote what the gate promotes. Minutes of work.

        A shadow challenger that has gathered its evidence is judged first: one that is promoted is the answer.

        Raises:
            ModelRefused: too few matured labels, or a model that must not serve; it is recorded.
        """
        # Imported here: the science takes seconds, and a rollback must not wait for it.
        from ml.promotion.judging import read_matured
        from ml.promotion.retraining import train_on

        trail = Trail(self.ledger, actor, now)
        say("reading the ledger")
        rows = read_matured(self.settings, self.ledger, self.schema, as_of=now)
        settled = self._settle_shadow(rows, trail)
        if settled is not None:
            return settled
        try:
            stored = train_on(self.settings, rows, now=now, say=say)
        except ModelRefused as error:
            trail.record("training_failed", None, None, [error.detail])
            raise
        champion = self.champion()
        if champion is None:
            pointer = self.move(stored, None, "promoted", ["the first model of its schema"], trail)
            return Retrained(stored.model_version, None, pointer)
        say("comparing with the champion")
        return self._decided(stored, champion, self.judge(stored, champion, now=now, rows=rows), trail)

    def judge(
        self, stored: StoredBundle, champion: ChampionPointer, *, now: datetime, rows: ServedRows | None = None
    ) -> GateReport:
        """Ask the gate, and keep its report beside the bundle and in MLflow. Raises ModelRefused, BundleRefused."""
        # Imported here: see `retrain`.
        from ml.promotion.judging import judge, read_matured, write_report
        from ml.promotion.shadowed import read_shadow_scores
        from ml.training.tracking import log_gate

        if rows is None:
            rows = read_matured(self.settings, self.ledger, self.schema, as_of=now)
        shadows = read_shadow_scores(self.ledger, champion_digest=champion.digest, challenger_digest=stored.digest)
        report = judge(self.settings, rows, champion, stored, as_of=now, shadows=shadows)
        encoded = msgspec.json.format(msgspec.json.encode(report), indent=2)
        write_report(self.settings.model_dir / stored.path, encoded)
        log_gate(self.settings, stored.model_version, report.outcome, encoded)
        return report

    def record_thresholds(self, model_version: str | None, reasons: list[str], *, actor: str, now: datetime) -> None:
        """Note in the audit trail that the policy file has other thresholds now. `model_version`: the champion."""
        Trail(self.ledger, actor, now).record("thresholds_set", model_version, model_version, reasons)

    def _replaced_by(self, model_version: str) -> str:
        for event in self.ledger.model_events(EVENTS_SEARCHED):
            if event.action == "promoted" and event.to_version == model_version and event.from_version:
                return event.from_version
        raise UnknownId(f"the audit trail does not say which model {model_version} replaced")

    def _settle_shadow(self, rows: ServedRows, trail: Trail) -> Retrained | None:
        """Judge the shadow challenger once it has evidence, and free its slot; None unless it is promoted."""
        # Imported here: see `retrain`.
        from ml.promotion.shadowed import paired_rows, read_shadow_scores

        champion, held = self.champion(), self.slot.current()
        if champion is None or held is None or held.role != "shadow":
            return None
        shadows = read_shadow_scores(self.ledger, champion_digest=champion.digest, challenger_digest=held.digest)
        if paired_rows(rows, shadows, min_frauds=self.settings.gate_min_frauds) is None:
            return None
        self.slot.clear(held)
        try:
            stored = self.bundle(held.model_version)
            report = self.judge(stored, champion, now=trail.now, rows=rows)
        except (UnknownId, BundleRefused) as error:
            trail.record("rejected", champion.model_version, held.model_version, [error.detail])
            return None
        made = self._decided(stored, champion, report, trail)
        return made if report.outcome == "promote" else None

    def _decided(self, stored: StoredBundle, champion: ChampionPointer, report: GateReport, trail: Trail) -> Retrained:
        if report.outcome == "promote":
            pointer = self.approve(stored, champion, report, trail)
            return Retrained(stored.model_version, report, pointer)
        self.keep(stored, champion, report, trail)
        return Retrained(stored.model_version, report, None)
