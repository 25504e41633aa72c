"""The model holder: the pointer is the truth, a bad bundle is refused and the old model serves on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from fakeredis import FakeRedis

from config import names
from config.contracts import ChallengerPointer, ChampionPointer
from config.errors import BundleRefused
from workers.holder import ModelHolder
from workers.metrics import BUNDLES_REFUSED
from workers.pair import PairScorer


class StandIn:
    """As much of a scorer as a pair looks at."""

    def __init__(self, model_version: str) -> None:
        self.model_version = model_version
        self.spec = None
        self.bundle = SimpleNamespace(featurizer=SimpleNamespace(vocabularies={}))

    def __eq__(self, other: object) -> bool:
        return other == f"scorer of {self.model_version}"

    __hash__ = None  # type: ignore[assignment]


class Loader:
    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.refuses: set[str] = set()

    def __call__(self, pointer: ChampionPointer | ChallengerPointer) -> Any:
        self.loaded.append(pointer.model_version)
        if pointer.model_version in self.refuses:
            raise BundleRefused("digest differs")
        return StandIn(pointer.model_version)


@pytest.fixture
def client() -> FakeRedis:
    return FakeRedis()


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture
def holder(client: FakeRedis, loader: Loader) -> ModelHolder:
    return ModelHolder(client, loader, poll_s=0.5, on_change=lambda: None)


def point_at(client: FakeRedis, version: str, generation: int) -> None:
    pointer = ChampionPointer(version, f"digest of {version}", version, generation, "2026-01-01T00:00:00Z")
    client.set(names.CHAMPION, msgspec.json.encode(pointer))


def test_nothing_is_served_before_a_model_is_promoted(holder: ModelHolder) -> None:
    holder.follow()

    assert not holder.wait_until_loaded(0)
    with pytest.raises(RuntimeError):
        _ = holder.scorer


def test_the_pointed_model_is_loaded_once_per_generation(
    holder: ModelHolder, client: FakeRedis, loader: Loader
) -> None:
    point_at(client, "m1", 1)
    holder.follow()
    holder.follow()
    point_at(client, "m1", 2)
    holder.follow()

    assert loader.loaded == ["m1", "m1"]
    assert holder.scorer == "scorer of m1"
    assert (holder.status, holder.generation) == ("serving", 2)


def test_a_refused_bundle_is_reported_and_the_old_model_serves_on(
    holder: ModelHolder, client: FakeRedis, loader: Loader
) -> None:
    point_at(client, "m1", 1)
    holder.follow()
    loader.refuses.add("m2")
    point_at(client, "m2", 2)
    holder.follow()

    assert holder.scorer == "scorer of m1"
    assert (holder.status, holder.generation, holder.detail) == ("refused", 2, "digest differs")
    assert holder.served is not None
    assert holder.served.model_version == "m1"


def test_a_good_model_after_a_refused_one_is_served(holder: ModelHolder, client: FakeRedis, loader: Loader) -> None:
    loader.refuses.add("m1")
    point_at(client, "m1", 1)
    holder.follow()
    assert not holder.wait_until_loaded(0)

    point_at(client, "m2", 2)
    holder.follow()

    assert holder.wait_until_loaded(0)
    assert holder.scorer == "scorer of m2"


def test_every_change_is_announced(client: FakeRedis, loader: Loader) -> None:
    announced: list[int] = []
    holder = ModelHolder(client, loader, poll_s=0.5, on_change=lambda: announced.append(1))
    point_at(client, "m1", 1)
    holder.follow()
    holder.follow()

    assert announced == [1]


def challenge(client: FakeRedis, version: str, role: str = "shadow", share: float = 0.0) -> None:
    pointer = ChallengerPointer(
        version,
        f"digest of {version}",
        version,
        role,
        "digest of m1",
        "2026-01-01T00:00:00Z",
        share,  # type: ignore[arg-type]
    )
    client.set(names.CHALLENGER, msgspec.json.encode(pointer))


def test_a_challenger_is_loaded_beside_the_champion_once_whatever_its_role_becomes(
    holder: ModelHolder, client: FakeRedis, loader: Loader
) -> None:
    point_at(client, "m1", 1)
    challenge(client, "m2")
    holder.follow()
    holder.follow()
    challenge(client, "m2", "canary", 0.1)
    holder.follow()

    assert loader.loaded == ["m1", "m2"]
    assert isinstance(holder.scorer, PairScorer)
    client.delete(names.CHALLENGER)
    holder.follow()
    assert holder.scorer == "scorer of m1"


def test_a_refused_challenger_leaves_the_champion_alone_and_is_looked_at_again_on_reload(
    holder: ModelHolder, client: FakeRedis, loader: Loader
) -> None:
    loader.refuses.add("m2")
    point_at(client, "m1", 1)
    challenge(client, "m2")
    holder.follow()
    holder.follow()

    assert (holder.status, holder.scorer) == ("serving", "scorer of m1")
    assert holder.challenging is not None
    assert holder.challenging.detail == "digest differs"
    assert loader.loaded == ["m1", "m2"]
    loader.refuses.clear()
    point_at(client, "m1", 2)
    holder.follow()
    assert isinstance(holder.scorer, PairScorer)


def test_a_champion_is_not_its_own_challenger_while_a_promotion_is_under_way(
    holder: ModelHolder, client: FakeRedis
) -> None:
    point_at(client, "m1", 1)
    challenge(client, "m2", "canary", 0.1)
    holder.follow()
    point_at(client, "m2", 2)
    holder.follow()

    assert holder.scorer == "scorer of m2"


def test_every_refusal_is_counted_for_an_alert(holder: ModelHolder, client: FakeRedis, loader: Loader) -> None:
    counter = BUNDLES_REFUSED.labels("champion")
    before = counter._value.get()
    loader.refuses.add("m1")
    point_at(client, "m1", 1)
    holder.follow()
    holder.follow()

    assert counter._value.get() == before + 1
