"""A model beside the champion: when it is promoted, and when the guard undoes it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from click.testing import CliRunner
from redis import Redis

from config.celery_app import make_celery
from config.contracts import ChallengerPointer, ChampionPointer, ScoreProfile
from config.errors import NotReady, UnknownId
from config.queue.stats import read_challenger, read_champion, read_guard
from config.schema.load import load_schema
from config.settings import Settings
from deploy.cli import main
from ml.bundle_files import write_files
from ml.features.compiled import Floats
from ml.features.spec import FeatureSpec
from ml.gate.verdict import GateReport
from ml.ledger import Ledger
from ml.promotion.challengers import ChallengerDesk
from ml.promotion.desk import Desk
from ml.promotion.trail import Trail
from ml.promotion.watching import watch_challenger
from ml.registry import promote
from tests.unit.ml.guard.test_guard import REVIEW, Scores
from workers.background import BackgroundRuntime, install
from workers.guard import watch
from workers.holder import ModelHolder
from workers.metrics import GUARD_ACTIONS
from workers.pair import PairScorer
from workers.pair_counts import PairTally, count_pair

REPORT = GateReport(
    outcome="promote", champion="m1", challenger="m2", decided_at="", window_from_s=0, window_until_s=1, rows=2,
    frauds=1, checks=[], profile=ScoreProfile(1000, 50, [100] * 10),
)  # fmt: skip

ROWS = 2000

NO_HANG_S = 30.0


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("desk"), mlflow_enabled=False, canary_share=0.1, canary_minutes=5)


@pytest.fixture(scope="module")
def ledger(settings: Settings) -> Iterator[Ledger]:
    opened = Ledger(settings.database_url, schema=load_schema(settings.schema_file))
    opened.migrate()
    schema_digest = load_schema(settings.schema_file).digest
    for name in ("m1", "m2", "m3"):
        about = {"model_version": name, "schema_digest": schema_digest}
        write_files(settings.model_dir / name, {"bundle.joblib": name.encode()}, about)
    yield opened
    opened.close()


@pytest.fixture
def desk(settings: Settings, ledger: Ledger, redis_client: Redis) -> Desk:
    """m1 is the champion."""
    made = Desk(settings, redis_client, ledger, load_schema(settings.schema_file))
    promote(redis_client, settings.model_dir, made.bundle("m1"))
    return made


def count(desk: Desk, ours: Floats, theirs: Floats) -> None:
    """What scoring workers would have counted about the champion and its challenger by now."""
    champion, held = desk.champion(), desk.slot.current()
    assert champion is not None
    assert held is not None
    tally = PairTally()
    counts = count_pair(ours, theirs, reviews=(REVIEW, REVIEW), took_s=(0.001, 0.001), taken=0)
    tally.add(champion.digest, held.digest, counts)
    with desk.client.pipeline() as pipe:
        tally.write(pipe)
        pipe.execute()


def draw() -> tuple[Floats, Floats]:
    return Scores(np.random.default_rng(1), n=ROWS).draw()


def serving(desk: Desk) -> str:
    pointer = read_champion(desk.client)
    assert pointer is not None
    return pointer.model_version


def test_a_canary_that_declines_everything_is_ended_with_the_figures(desk: Desk) -> None:
    now = datetime.now(UTC)
    ChallengerDesk(desk).canary("m2", share=0.05, actor="operator", now=now)
    ours, _ = draw()
    count(desk, ours, np.full(ROWS, 0.99))

    assert watch_challenger(desk, now=now) == "canary_ended"
    assert (desk.slot.current(), serving(desk)) == (None, "m1")
    ended, started = desk.ledger.model_events(2)
    assert (started.action, started.reasons, started.actor) == ("canary_started", ["share: 0.05"], "operator")
    assert (ended.action, ended.to_version, ended.actor) == ("canary_ended", "m2", "guard")
    assert [reason.split(":")[0] for reason in ended.reasons] == ["alert_ratio", "score_psi"]
    assert watch_challenger(desk, now=now) is None


def test_a_canary_that_the_gate_began_is_promoted_when_its_time_is_over_and_then_watched(desk: Desk) -> None:
    now = datetime.now(UTC)
    champion = desk.champion()
    assert champion is not None
    assert desk.approve(desk.bundle("m2"), champion, REPORT, Trail(desk.ledger, "beat", now)) is None
    assert desk.ledger.model_events(1)[0].action == "canary_started"
    count(desk, *draw())
    assert watch_challenger(desk, now=now) is None
    assert serving(desk) == "m1"
    guard = read_guard(desk.client)
    assert guard is not None
    assert (guard["role"], guard["rows"], guard["is_enough"]) == ("canary", ROWS, True)

    assert watch_challenger(desk, now=now + timedelta(minutes=5)) == "promoted"

    held = desk.slot.current()
    assert held is not None
    assert (serving(desk), held.role, held.model_version) == ("m2", "watch", "m1")
    assert held.expected == REPORT.profile
    assert desk.ledger.model_events(1)[0].reasons[0] == "a canary of 0.1 kept its guardrails on 2,000 transactions"
    count(desk, *draw())
    assert watch_challenger(desk, now=now) is None
    assert watch_challenger(desk, now=now + timedelta(hours=2)) == "watch_ended"
    assert (serving(desk), desk.slot.current()) == ("m2", None)


def test_a_champion_that_breaks_a_guardrail_gives_way_to_the_one_before(desk: Desk) -> None:
    now, champion = datetime.now(UTC), desk.champion()
    trail = Trail(desk.ledger, "beat", now)
    desk.move(desk.bundle("m3"), champion, "promoted", ["gain: 0.1"], trail, is_watched=True)
    _, theirs = draw()
    count(desk, np.full(ROWS, 0.99), theirs)

    assert watch_challenger(desk, now=now) == "rolled_back"

    assert (serving(desk), desk.slot.current()) == ("m1", None)
    event = desk.ledger.model_events(1)[0]
    assert (event.action, event.from_version, event.to_version, event.actor) == ("rolled_back", "m3", "m1", "guard")
    assert event.reasons[0].startswith("alert_ratio: ")


def test_a_canary_without_traffic_waits_for_it(desk: Desk) -> None:
    now, champion = datetime.now(UTC), desk.champion()
    assert champion is not None
    desk.approve(desk.bundle("m2"), champion, REPORT, Trail(desk.ledger, "beat", now))

    assert watch_challenger(desk, now=now + timedelta(hours=3)) is None
    assert serving(desk) == "m1"


def test_a_forced_promotion_ends_the_canary_and_is_not_undone_by_the_guard(desk: Desk) -> None:
    now = datetime.now(UTC)
    ChallengerDesk(desk).canary("m2", share=0.05, actor="operator", now=now)
    desk.force("m3", actor="operator", now=now)

    assert watch_challenger(desk, now=now) == "canary_ended"
    assert (serving(desk), read_challenger(desk.client)) == ("m3", None)


def test_what_cannot_be_compared_is_refused(desk: Desk) -> None:
    challengers, now = ChallengerDesk(desk), datetime.now(UTC)

    with pytest.raises(NotReady, match="is the champion"):
        challengers.shadow("m1", actor="operator", now=now)
    with pytest.raises(UnknownId):
        challengers.shadow("nobody", actor="operator", now=now)
    with pytest.raises(UnknownId, match="no model is compared"):
        challengers.end(actor="operator", now=now)
    challengers.shadow("m2", actor="operator", now=now)
    assert challengers.end(actor="operator", now=now).role == "shadow"
    assert [event.action for event in desk.ledger.model_events(2)] == ["shadow_ended", "shadow_started"]


def test_beats_task_undoes_a_bad_canary_and_counts_it(desk: Desk, redis_url: str) -> None:
    ChallengerDesk(desk).canary("m2", share=0.05, actor="operator", now=datetime.now(UTC))
    count(desk, draw()[0], np.full(ROWS, 0.99))
    settings = desk.settings.model_copy(update={"redis_url": redis_url})
    spec = FeatureSpec.from_schema(desk.schema, settings.history_events)
    install(
        BackgroundRuntime(
            settings, desk.client, desk.ledger, desk.schema, spec, make_celery(settings, "background"), "test"
        )
    )
    before = GUARD_ACTIONS.labels("canary_ended")._value.get()

    watch()
    watch()

    assert GUARD_ACTIONS.labels("canary_ended")._value.get() == before + 1
    assert desk.slot.current() is None


def test_the_commands_put_a_model_beside_the_champion_and_take_it_away(
    desk: Desk, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOLLGATE_DATA_DIR", str(desk.settings.data_dir))
    monkeypatch.setenv("TOLLGATE_REDIS_URL", redis_url)

    told = [
        CliRunner().invoke(main, arguments)
        for arguments in (
            ["shadow", "m2"],
            ["canary", "m3", "--share", "0.2"],
            ["shadow", "--off"],
            ["canary", "--off"],
        )
    ]

    assert [one.output for one in told[:3]] == ["shadow: m2\n", "canary: m3 decides 0.2\n", "ended: canary m3\n"]
    assert (told[3].exit_code, "no model is compared" in told[3].output) == (2, True)
    assert CliRunner().invoke(main, ["shadow", "m2", "--off"]).exit_code == 2


class Ending:
    """A client that ends the thread that uses it, once it is told to."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self.is_over = False

    def get(self, name: str) -> Any:
        if self.is_over:
            raise SystemExit
        return self._client.get(name)


def test_a_worker_that_missed_the_broadcast_follows_both_pointers_by_itself(desk: Desk, settings: Settings) -> None:
    def load(pointer: ChampionPointer | ChallengerPointer) -> Any:
        return SimpleNamespace(
            spec=None, bundle=SimpleNamespace(featurizer=SimpleNamespace(vocabularies={}), digest=pointer.digest)
        )

    changed, client = threading.Event(), Ending(desk.client)
    holder = ModelHolder(cast("Redis", client), load, poll_s=settings.champion_poll_s, on_change=changed.set)

    def follow() -> None:
        with suppress(SystemExit):
            holder.run()

    thread = threading.Thread(target=follow)
    thread.start()
    assert holder.wait_until_loaded(NO_HANG_S)
    changed.clear()

    ChallengerDesk(desk).shadow("m2", actor="operator", now=datetime.now(UTC))
    assert changed.wait(NO_HANG_S)
    assert isinstance(holder.scorer, PairScorer)
    changed.clear()
    desk.force("m3", actor="operator", now=datetime.now(UTC))
    assert changed.wait(NO_HANG_S)
    assert holder.served is not None
    assert holder.served.model_version == "m3"
    client.is_over = True
    thread.join(NO_HANG_S)
    assert settings.champion_poll_s <= 1, "the largest that is allowed: less than two seconds with the load"
