"""What operators and the guard do with the model beside the champion: begin, end, promote, roll back. All recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from config.contracts import ChallengerPointer, ChallengerRole, ChampionPointer
from config.errors import NotReady, UnknownId
from ml.ledger.model_events import ModelAction
from ml.promotion.desk import Desk
from ml.promotion.trail import Trail


@dataclass(frozen=True, slots=True)
class ChallengerDesk:
    """Raises as `Desk` does."""

    desk: Desk

    def shadow(self, model_version: str, *, actor: str, now: datetime) -> ChallengerPointer:
        """Let a model score beside the champion and decide nothing, until it is ended.

        Raises:
            NotReady: no model is promoted, or this one is the champion.
            UnknownId: there is no such model.
            BundleRefused: its files are not what was published, or it is for another schema.
        """
        return self._begin(model_version, 0.0, Trail(self.desk.ledger, actor, now))

    def canary(self, model_version: str, *, share: float, actor: str, now: datetime) -> ChallengerPointer:
        """Let a model decide a share (0..1) of the traffic, until it is ended or breaks a guardrail.

        Raises as `shadow`.
        """
        return self._begin(model_version, share, Trail(self.desk.ledger, actor, now))

    def end(self, *, actor: str, now: datetime) -> ChallengerPointer:
        """Unload the challenger: the champion decides everything. Raises UnknownId: there is none."""
        held = self.desk.slot.current()
        if held is None or not self.desk.slot.clear(held):
            raise UnknownId("no model is compared with the champion now")
        action: ModelAction = "canary_ended" if held.role == "canary" else "shadow_ended"
        Trail(self.desk.ledger, actor, now).record(action, None, held.model_version, [])
        return held

    def _begin(self, model_version: str, share: float, trail: Trail) -> ChallengerPointer:
        stored, champion = self.desk.bundle(model_version), self.desk.champion()
        if champion is None:
            raise NotReady("no model is promoted, so there is nothing to compare with")
        if stored.digest == champion.digest:
            raise NotReady(f"{model_version} is the champion: it decides everything already")
        self.desk.require_intact(stored)
        self._record(champion, model_version, share, trail)
        role: ChallengerRole = "canary" if share else "shadow"
        return self.desk.slot.put(stored, role, champion=champion, now=trail.now, share=share)

    def _record(self, champion: ChampionPointer, model_version: str, share: float, trail: Trail) -> None:
        if share:
            trail.record("canary_started", champion.model_version, model_version, [f"share: {share:g}"])
        else:
            trail.record("shadow_started", champion.model_version, model_version, [])
