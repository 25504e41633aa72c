"""A bundle that is not what was published: refused, whether as champion or as challenger."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis

from config.settings import Settings
from ml.promotion.slot import ChallengerSlot
from ml.registry import find_bundles, promote
from tests.replay_site import HISTORY_EVENTS, SCHEMA, save_card_bundle
from workers.holder import ModelHolder
from workers.loading import scorer_loader
from workers.metrics import BUNDLES_REFUSED
from workers.scorer import BatchScorer


def spoil(directory: Path, how: str) -> None:
    pickle = directory / "bundle.joblib"
    content = pickle.read_bytes()
    pickle.write_bytes(content[: len(content) // 2] if how == "truncated" else content[:-1] + b"!")


@pytest.mark.parametrize("how", ["truncated", "changed", "wrong digest", "wrong schema", "gone"])
def test_a_bundle_that_is_not_what_was_published_is_refused_and_the_old_one_serves_on(
    how: str, redis_client: Redis, tmp_path: Path
) -> None:
    schema_file, other = tmp_path / "cards.toml", SCHEMA.replace('name = "cards"', 'name = "others"')
    schema_file.write_text(SCHEMA)
    settings = Settings(data_dir=tmp_path, schema_file=schema_file, history_events=HISTORY_EVENTS)
    good = save_card_bundle(settings.model_dir / "good")
    bad = save_card_bundle(settings.model_dir / "bad", schema_text=other if how == "wrong schema" else SCHEMA, seed=4)
    stored = {one.model_version: one for one in find_bundles(settings.model_dir)}
    holder = ModelHolder(redis_client, scorer_loader(settings), poll_s=0.5, on_change=lambda: None)
    promote(redis_client, settings.model_dir, stored["good"])
    holder.follow()
    refused = {which: BUNDLES_REFUSED.labels(which)._value.get() for which in ("champion", "challenger")}

    if how in ("truncated", "changed"):
        spoil(settings.model_dir / "bad", how)
    if how == "gone":
        shutil.rmtree(settings.model_dir / "bad")
    digest = "0" * 64 if how == "wrong digest" else bad.digest
    pointer = promote(redis_client, settings.model_dir, replace(stored["bad"], digest=digest))
    ChallengerSlot(redis_client).put(pointer, "canary", champion=pointer, now=datetime.now(UTC), share=0.5)
    holder.follow()

    assert (holder.status, holder.generation) == ("refused", pointer.generation)
    assert isinstance(holder.scorer, BatchScorer)
    assert holder.scorer.bundle.digest == good.digest
    assert holder.challenging is not None
    assert holder.challenging.scorer is None
    assert {which: BUNDLES_REFUSED.labels(which)._value.get() - before for which, before in refused.items()} == {
        "champion": 1,
        "challenger": 1,
    }
