"""Who is the champion and who is beside it: found, moved and recorded, whoever decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis

from config.contracts import ChampionPointer, ScoreProfile
from config.errors import BrokerUnavailable, BundleRefused, UnknownId
from config.schema.model import Schema
from config.settings import Settings
from ml.bundle_files import read_files, read_manifest
from ml.ledger import Ledger
from ml.ledger.model_events import ModelAction
from ml.promotion.slot import ChallengerSlot
from ml.promotion.trail import Trail
from ml.registry import StoredBundle, find_bundles, is_for_schema, promote, read_champion

if TYPE_CHECKING:
    from ml.gate.verdict import GateReport


@dataclass(frozen=True, slots=True)
class Pointers:
    """The pointers in Redis, the bundles that they name, the audit trail. Every method raises BrokerUnavailable and
    LedgerUnavailable.
    """

    settings: Settings
    client: redis.Redis
    ledger: Ledger
    schema: Schema

    @property
    def slot(self) -> ChallengerSlot:
        """The model beside the champion."""
        return ChallengerSlot(self.client)

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

    def require_intact(self, stored: StoredBundle) -> None:
        """Every file is what was published; whether it scores as it should, each worker checks when it loads it.

        Raises BundleRefused.
        """
        manifest, _ = read_manifest(self.settings.model_dir / stored.path, stored.digest)
        read_files(self.settings.model_dir / stored.path, manifest, ())
        if stored.schema_digest != self.schema.digest:
            raise BundleRefused(f"{stored.model_version} was trained for schema {stored.schema_digest}")

    def move(
        self,
        stored: StoredBundle,
        champion: ChampionPointer | None,
        action: ModelAction,
        reasons: list[str],
        trail: Trail,
        *,
        is_watched: bool = False,
        expected: ScoreProfile | None = None,
    ) -> ChampionPointer:
        """Move the champion pointer. Record first: a swap that nobody could explain later is worse than a record of one
        that did not happen. `is_watched`: the former champion is kept beside the new one for a while, which is held to
        what is `expected` of it.
        """
        from_version = champion.model_version if champion else None
        trail.record(action, from_version, stored.model_version, reasons)
        try:
            pointer = promote(self.client, self.settings.model_dir, stored)
        except redis.RedisError as error:
            undone = [f"the broker did not answer, so {action} did not happen"]
            trail.record("kept_shadowing", from_version, stored.model_version, undone)
            raise _broker_gone(error) from error
        self._renew_slot(pointer, champion if is_watched else None, expected, trail)
        return pointer

    def approve(
        self, stored: StoredBundle, champion: ChampionPointer, report: GateReport, trail: Trail
    ) -> ChampionPointer | None:
        """What the gate promotes decides a share of the traffic first, where the settings say so."""
        share, minutes = self.settings.canary_share, self.settings.canary_minutes
        if not share:
            reasons, expected = report.reasons, report.profile
            return self.move(stored, champion, "promoted", reasons, trail, is_watched=True, expected=expected)
        reasons = [f"share: {share:g}", *report.reasons]
        trail.record("canary_started", champion.model_version, stored.model_version, reasons)
        self.slot.put(
            stored, "canary", champion=champion, now=trail.now, share=share, minutes=minutes, expected=report.profile
        )
        return None

    def keep(self, stored: StoredBundle, champion: ChampionPointer, report: GateReport, trail: Trail) -> None:
        """Record it; what is merely not shown goes on in the shadow, where there is room for it.

        One that was judged by its shadow scores has had its chance: looking again and again would promote by luck.
        """
        trail.record_kept(report)
        if report.outcome == "reject" or report.judged_on == "shadow_scores":
            return
        if self.slot.has_room(now=trail.now, max_age_s=self.settings.shadow_max_age_s):
            self.slot.put(stored, "shadow", champion=champion, now=trail.now)

    def _renew_slot(
        self, champion: ChampionPointer, former: ChampionPointer | None, expected: ScoreProfile | None, trail: Trail
    ) -> None:
        """The former champion watches the new one; who became the champion or watched the last one leaves the slot."""
        minutes = self.settings.guard_minutes
        if former is not None and minutes:
            self.slot.put(former, "watch", champion=champion, now=trail.now, minutes=minutes, expected=expected)
            return
        held = self.slot.current()
        if held is not None and (held.role == "watch" or held.digest == champion.digest):
            self.slot.clear(held)


def _broker_gone(error: redis.RedisError) -> BrokerUnavailable:
    return BrokerUnavailable(f"the broker does not answer, nothing was changed: {error}")
