"""The champion pointer only moves forward, and survives an emptied Redis."""

from __future__ import annotations

import json
from pathlib import Path

import fakeredis
import pytest

from config import names
from ml.bundle_files import write_files
from ml.registry import StoredBundle, ensure_champion, find_bundles, promote, read_champion, stored_champion


@pytest.fixture
def client() -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis()


def publish(store: Path, version: str, schema_digest: str = "s1", **more: str) -> StoredBundle:
    about = {"model_version": version, "schema_digest": schema_digest, **more}
    digest = write_files(store / version, {"bundle.joblib": version.encode()}, about)
    return StoredBundle(version, digest, version, schema_digest)


def test_each_promotion_is_one_generation_on(client: fakeredis.FakeRedis, tmp_path: Path) -> None:
    first = promote(client, tmp_path, publish(tmp_path, "a"))
    second = promote(client, tmp_path, publish(tmp_path, "b"))

    assert (first.generation, second.generation) == (1, 2)
    assert read_champion(client) == second
    assert (second.model_version, second.path) == ("b", "b")


def test_the_durable_copy_is_the_pointer(client: fakeredis.FakeRedis, tmp_path: Path) -> None:
    pointer = promote(client, tmp_path, publish(tmp_path, "a"))

    assert stored_champion(tmp_path) == pointer
    assert json.loads((tmp_path / "champion.json").read_text())["generation"] == 1


def test_without_redis_only_the_durable_copy_moves(tmp_path: Path) -> None:
    promote(None, tmp_path, publish(tmp_path, "a"))
    pointer = promote(None, tmp_path, publish(tmp_path, "b"))

    assert pointer.generation == 2
    assert stored_champion(tmp_path) == pointer


def test_an_emptied_redis_gets_the_same_champion_in_a_later_generation(
    client: fakeredis.FakeRedis, tmp_path: Path
) -> None:
    promote(client, tmp_path, publish(tmp_path, "a"))
    before = promote(client, tmp_path, publish(tmp_path, "b"))
    publish(tmp_path, "c")
    client.flushall()

    restored = ensure_champion(client, tmp_path, "s1")

    assert restored is not None
    assert restored.model_version == "b"
    assert restored.generation > before.generation
    assert read_champion(client) == restored


def test_a_champion_that_fits_stays(client: fakeredis.FakeRedis, tmp_path: Path) -> None:
    pointer = promote(client, tmp_path, publish(tmp_path, "a"))
    publish(tmp_path, "b")

    assert ensure_champion(client, tmp_path, "s1") == pointer


def test_a_champion_of_another_schema_gives_way_to_the_newest_bundle(
    client: fakeredis.FakeRedis, tmp_path: Path
) -> None:
    promote(client, tmp_path, publish(tmp_path, "a", "s1"))
    publish(tmp_path, "card", "s2")

    found = ensure_champion(client, tmp_path, "s2")

    assert found is not None
    assert found.model_version == "card"


def test_a_champion_whose_files_are_gone_or_changed_is_none(client: fakeredis.FakeRedis, tmp_path: Path) -> None:
    promote(client, tmp_path, publish(tmp_path, "a"))
    (tmp_path / "a" / "manifest.json").unlink()

    assert ensure_champion(client, tmp_path, "s1") is None


def test_an_empty_store_has_no_champion(client: fakeredis.FakeRedis, tmp_path: Path) -> None:
    assert ensure_champion(client, tmp_path / "nowhere", "s1") is None
    assert client.get(names.CHAMPION) is None


def test_the_store_lists_readable_bundles_of_a_schema(tmp_path: Path) -> None:
    publish(tmp_path, "a", "s1")
    publish(tmp_path, "b", "s2")
    (tmp_path / "broken").mkdir()

    assert {bundle.model_version for bundle in find_bundles(tmp_path)} == {"a", "b"}
    assert [bundle.model_version for bundle in find_bundles(tmp_path, "s2")] == ["b"]


def test_a_durable_copy_that_cannot_be_read_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "champion.json").write_text("{")

    assert stored_champion(tmp_path) is None


def test_a_model_that_is_held_back_becomes_the_champion_by_a_persons_word_only(
    client: fakeredis.FakeRedis, tmp_path: Path
) -> None:
    publish(tmp_path, "poor", held_back="yes")
    assert ensure_champion(client, tmp_path, "s1") is None

    (held,) = find_bundles(tmp_path)
    assert held.held_back
    promote(client, tmp_path, held)
    client.flushall()

    restored = ensure_champion(client, tmp_path, "s1")
    assert restored is not None
    assert restored.model_version == "poor"
