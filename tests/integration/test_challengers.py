"""A model beside the champion: what is stored of it, when it is promoted, and when the guard undoes it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
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
from ml.bundle import Bundle
from ml.bundle_files import write_files
from ml.features.compiled import Floats
from ml.features.spec import FeatureSpec
from ml.gate.verdict import GateReport
from ml.ledger import Ledger
from ml.policy import Policy
from ml.promotion.challengers import ChallengerDesk
from ml.promotion.desk import Desk
from ml.promotion.slot import ChallengerSlot
from ml.promotion.trail import Trail
from ml.promotion.watching import watch_challenger
from ml.registry import find_bundles, promote
from ml.replay.run import replay_ledger
from ml.replay.shelf import BundleShelf
from tests.replay_site import HISTORY_EVENTS, SCHEMA, Site, save_card_bundle
from tests.unit.ml.guard.test_guard import REVIEW, Scores
from workers.background import BackgroundRuntime, install
from workers.guard import watch
from workers.holder import ModelHolder
from workers.loading import scorer_loader
from workers.metrics import BUNDLES_REFUSED, GUARD_ACTIONS
from workers.pair import PairScorer
from workers.pair_counts import PairTally, count_pair
from workers.scorer import BatchScorer

REPORT = GateReport(
    outcome="promote", champion="m1", challenger="m2", decided_at="", window_from_s=0, window_until_s=1, rows=2,
    frauds=1, checks=[], profile=ScoreProfile(1000, 50, [100] * 10),
)  # fmt: skip
START_S = 1_767_225_600.0
ROWS = 2000
NO_HANG_S = 30.0


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def bundles(model_dir: Path) -> list[Bundle]:
    """Two models of one schema that learned their categories in another order."""
    other = {"grocery": 0, "travel": 1, "online": 2}
    return [
        save_card_bundle(model_dir / "cards-1"),
        save_card_bundle(model_dir / "cards-2", vocabulary=other, seed=4),
    ]


@pytest.fixture
def site(redis_client: Redis, bundles: list[Bundle], tmp_path: Path) -> Iterator[Site]:
    """Serves with both models, the second as a canary of 40%."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=bundles[0].schema)
    ledger.migrate()
    served = Site(redis_client, ledger, bundles[0], Settings(history_events=HISTORY_EVENTS, history_retain_s=60))
    first, second = (BatchScorer(bundle, Policy(), explain_above=0.5, reasons_max=3) for bundle in bundles)
    pointer = ChallengerPointer(
        "cards-2", bundles[1].digest, "cards-2", "canary", bundles[0].digest, datetime.now(UTC).isoformat(), 0.4
    )
    served.scorer = PairScorer(first, second, pointer, PairTally())
    yield served
    ledger.close()


def payments(site: Site, n: int) -> None:
    rng = np.random.default_rng(5)
    for number in range(n):
        values = [f"c{number % 9}", f"s{number % 3}", round(float(rng.lognormal(3, 1)), 2), START_S + 60 * number,
                  str(rng.choice(["online", "grocery", "travel", "fuel"])), None, None]  # fmt: skip
        (site.serve_in_bulk if number % 4 == 3 else site.serve)([site.row(values)])


def test_every_transaction_has_a_decision_of_one_model_a_score_of_the_other_and_is_replayed_to_the_bit(
    site: Site, bundles: list[Bundle], model_dir: Path
) -> None:
    payments(site, 60)
    site.drain()

    stored = site.ledger.latest_decisions(1000)
    by_version = {
        bundle.model_version: {
            one.decision.transaction_id for one in stored if one.record.model_digest == bundle.digest
        }
        for bundle in bundles
    }
    looked_on = [set(site.ledger.shadow_scores(bundle.digest)) for bundle in bundles]
    assert looked_on == [by_version["cards-2"], by_version["cards-1"]]
    assert all(0 < len(ids) < 60 for ids in looked_on)
    assert {one.decision.model_version for one in stored} == set(by_version)
    summary = replay_ledger(site.ledger, BundleShelf(model_dir))
    assert (summary.decisions, summary.different, summary.impossible) == (60, 0, {}), summary.shown


def test_a_score_that_looked_on_is_what_that_model_says_when_it_decides(
    site: Site, bundles: list[Bundle], redis_client: Redis, tmp_path: Path
) -> None:
    payments(site, 40)
    site.drain()
    looked_on = site.ledger.shadow_scores(bundles[1].digest)
    assert looked_on

    redis_client.flushall()
    site.scorer, site._served = BatchScorer(bundles[1], Policy(), explain_above=0.5, reasons_max=3), 0
    again = Ledger(f"sqlite:///{tmp_path / 'again.db'}", schema=bundles[1].schema)
    again.migrate()
    site.ledger = again
    payments(site, 40)
    site.drain()

    decided = {one.decision.transaction_id: one.decision.fraud_probability for one in again.latest_decisions(1000)}
    assert {name: decided[name] for name in looked_on} == looked_on
    again.close()


def test_shadow_scores_leave_with_their_decisions(site: Site, bundles: list[Bundle]) -> None:
    payments(site, 20)
    site.drain()
    later = datetime.now(UTC) + timedelta(days=1)

    site.ledger.delete_before(later, unlabelled_before=later)

    assert [site.ledger.shadow_scores(bundle.digest) for bundle in bundles] == [{}, {}]


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
