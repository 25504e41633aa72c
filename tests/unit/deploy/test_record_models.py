"""MLflow learns at every start who is champion: a swap may have happened while it was away."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from fakeredis import FakeRedis

from config import names
from config.contracts import ChampionPointer
from config.settings import Settings
from deploy.launcher import record_models


def test_the_champion_is_told_although_every_run_is_logged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    client, told = FakeRedis(), list[str]()
    client.set(names.CHAMPION, msgspec.json.encode(ChampionPointer("m2", "d" * 64, "m2", 3, "2026-01-01T00:00:00Z")))
    monkeypatch.setattr(record_models, "load_settings", lambda: Settings(data_dir=tmp_path))
    monkeypatch.setattr(record_models, "answers", lambda _: True)
    monkeypatch.setattr(record_models, "log_missing_runs", lambda _: [])
    monkeypatch.setattr(record_models, "make_redis", lambda *_, **__: client)
    monkeypatch.setattr(record_models, "mark_champion", lambda _, version: told.append(version))

    record_models.main()

    assert told == ["m2"]
