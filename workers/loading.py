"""From a pointer to a scorer that is verified and warm. Runs on the model holder's thread."""

from __future__ import annotations

from config.contracts import ChallengerPointer, ChampionPointer
from config.errors import BundleRefused
from config.schema.load import load_schema
from config.settings import Settings
from ml.bundle import load_bundle
from ml.policy import load_policy
from workers.holder import Load
from workers.scorer import BatchScorer


def scorer_loader(settings: Settings) -> Load:
    """A function that loads what a pointer names, for the schema and policy of these settings."""
    schema = load_schema(settings.schema_file)
    policy = load_policy(settings.policy_file, schema)

    def load(pointer: ChampionPointer | ChallengerPointer) -> BatchScorer:
        bundle = load_bundle(settings.model_dir / pointer.path, digest=pointer.digest, schema_digest=schema.digest)
        if bundle.spec.history_events != settings.history_events:
            raise BundleRefused(
                f"the bundle was trained on {bundle.spec.history_events} events of history,"
                f" TOLLGATE_HISTORY_EVENTS is {settings.history_events}"
            )
        bundle.warm()
        return BatchScorer(bundle, policy, explain_above=settings.explain_above, reasons_max=settings.reasons_max)

    return load
