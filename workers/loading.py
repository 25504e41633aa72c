"""From a pointer to a scorer that is verified and warm. Runs on the model holder's thread."""

from __future__ import annotations

from config.contracts import ChallengerPointer, ChampionPointer
from config.errors import BundleRefused, SettingInvalid
from config.schema.load import load_schema
from config.schema.model import Schema
from config.settings import Settings
from ml.bundle import load_bundle
from ml.policy import Policy
from ml.policy_in_force import policy_in_force
from workers.holder import Load
from workers.scorer import BatchScorer


def scorer_loader(settings: Settings) -> Load:
    """A function that loads what a pointer names, for the schema of these settings and the policy file as it is then.

    Raises SettingInvalid: the policy file has mistakes at start.
    """
    schema = load_schema(settings.schema_file)
    policy_in_force(settings, schema)  # a bad one is told at start, not at the first reload

    def load(pointer: ChampionPointer | ChallengerPointer) -> BatchScorer:
        bundle = load_bundle(settings.model_dir / pointer.path, digest=pointer.digest, schema_digest=schema.digest)
        if bundle.spec.history_events != settings.history_events:
            raise BundleRefused(
                f"the bundle was trained on {bundle.spec.history_events} events of history,"
                f" TOLLGATE_HISTORY_EVENTS is {settings.history_events}"
            )
        policy = _policy(settings, schema)
        bundle.warm()
        return BatchScorer(bundle, policy, explain_above=settings.explain_above, reasons_max=settings.reasons_max)

    return load


def _policy(settings: Settings, schema: Schema) -> Policy:
    """The policy file as it is now: a reload takes its thresholds and lists into service. Raises BundleRefused."""
    try:
        return policy_in_force(settings, schema)
    except SettingInvalid as error:
        raise BundleRefused(error.detail) from error
