"""MLflow's alias is moved behind whatever the training worker does first: to who is champion by then."""

from __future__ import annotations

import msgspec
import pytest
from celery import Celery
from fakeredis import FakeRedis

from config import names
from config.contracts import ChampionPointer
from config.schema.load import load_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from ml.training import tracking
from workers import training_runtime
from workers.training import mark_champion
from workers.training_runtime import TrainingRuntime


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FakeRedis:
    fake = FakeRedis()
    runtime = TrainingRuntime(Settings(), fake, load_schema(DEFAULT_SCHEMA), Celery(set_as_current=False))
    monkeypatch.setattr(training_runtime, "_runtime", runtime)
    return fake


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    versions: list[str] = []
    monkeypatch.setattr(tracking, "mark_champion", lambda _, version: versions.append(version))
    return versions


def test_after_two_swaps_both_messages_name_the_last_one(client: FakeRedis, told: list[str]) -> None:
    pointer = ChampionPointer("m2", "d" * 64, "m2", 3, "2026-01-01T00:00:00+00:00")
    client.set(names.CHAMPION, msgspec.json.encode(pointer))

    mark_champion()
    mark_champion()

    assert told == ["m2", "m2"]


def test_without_a_champion_nobody_is_told(client: FakeRedis, told: list[str]) -> None:
    mark_champion()

    assert told == []
