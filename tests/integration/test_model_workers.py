"""Work on models over the real queue: the training worker and the background worker, as the launcher runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from redis import Redis

from config import names
from config.errors import TrainingRunning
from config.queue.model_jobs import ModelJob, write_job
from config.queue.stats import read_champion, worker_reports
from config.schema.load import load_schema
from config.settings import Settings
from deploy.launcher import processes
from deploy.launcher.child import Process
from ml.bundle_files import write_files
from ml.ledger import Ledger
from ml.registry import StoredBundle, promote
from tests.servers import RunningValkey, running_valkey
from web.model_operations import QueuedModelOperations

pytestmark = pytest.mark.slow

LIMIT_S = 90.0


@contextmanager
def running(process: Process, settings: Settings) -> Iterator[None]:
    environment = {**processes.environment(settings, os.environ), **process.env}
    with (settings.data_dir / f"{process.name}.log").open("ab") as log:
        started = subprocess.Popen(process.argv, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait(LIMIT_S)


@pytest.fixture(scope="module")
def broker() -> Iterator[RunningValkey]:
    with running_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, broker: RunningValkey) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("models"), redis_url=broker.url, mlflow_enabled=False)


@pytest.fixture(scope="module")
def client(broker: RunningValkey) -> Iterator[Redis]:
    with Redis.from_url(broker.url, socket_timeout=5) as connected:
        yield connected


@pytest.fixture(scope="module")
def ledger(settings: Settings) -> Iterator[Ledger]:
    opened = Ledger(settings.database_url, schema=load_schema(settings.schema_file))
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def models(settings: Settings, client: Redis, ledger: Ledger) -> Iterator[QueuedModelOperations]:
    """Two bundles, the first the champion, and both workers up."""
    schema_digest = load_schema(settings.schema_file).digest
    stored = [publish(settings.model_dir, name, schema_digest) for name in ("first", "second")]
    promote(client, settings.model_dir, stored[0])
    with ExitStack() as stack:
        for process in (processes.training(), processes.background()):
            stack.enter_context(running(process, settings))
        wait_for_roles(client, settings, {"training", "background"})
        yield QueuedModelOperations(settings)


def publish(store: Path, name: str, schema_digest: str) -> StoredBundle:
    about = {"model_version": name, "schema_digest": schema_digest}
    return StoredBundle(name, write_files(store / name, {"bundle.joblib": name.encode()}, about), name, schema_digest)


def wait_for_roles(client: Redis, settings: Settings, roles: set[str]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while {report.role for report in worker_reports(client, settings.heartbeat_s)} < roles:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def serving(client: Redis) -> str | None:
    pointer = read_champion(client)
    return pointer.model_version if pointer else None


def test_a_forced_promotion_and_its_rollback_move_the_pointer_and_are_recorded(
    models: QueuedModelOperations, client: Redis, ledger: Ledger
) -> None:
    forced = models.wait_for(models.promote("second", force=True, actor="api"), timeout_s=LIMIT_S)

    assert (forced.status, forced.model_version) == ("done", "second"), forced
    assert serving(client) == "second"

    back = models.wait_for(models.roll_back(actor="api"), timeout_s=LIMIT_S)

    assert (back.status, back.model_version) == ("done", "first"), back
    assert serving(client) == "first"
    told = [(event.action, event.from_version, event.to_version) for event in ledger.model_events(2)]
    assert told == [("rolled_back", "second", "first"), ("promoted", "first", "second")]


def test_without_labels_the_gate_promotes_nothing_and_training_is_refused(
    models: QueuedModelOperations, client: Redis, ledger: Ledger
) -> None:
    before = serving(client)

    promotion = models.wait_for(models.promote("second", force=False, actor="api"), timeout_s=LIMIT_S)
    training = models.wait_for(models.retrain(actor="api"), timeout_s=LIMIT_S)

    assert (promotion.status, promotion.code) == ("refused", "promotion_refused"), promotion
    assert (training.status, training.code) == ("refused", "model_refused"), training
    assert models.latest_training() == training
    assert ledger.model_events(1)[0].action == "training_failed"
    assert serving(client) == before


def test_what_nobody_published_is_refused_by_the_worker(models: QueuedModelOperations) -> None:
    job = models.wait_for(models.promote("nobody", force=True, actor="api"), timeout_s=LIMIT_S)

    assert (job.status, job.code) == ("refused", "unknown_id")
    assert models.find("no-such-job") is None


def test_a_training_whose_worker_died_does_not_look_as_if_it_ran(models: QueuedModelOperations, client: Redis) -> None:
    job = ModelJob(job_id="dead", kind="retrain", status="running", actor="beat", requested_at="2026-01-01T00:00:00Z")
    write_job(client, job)

    found = models.latest_training()
    assert found is not None
    assert found.status == "failed"
    client.set(names.TRAINING_LOCK, "held", px=60_000)
    with pytest.raises(TrainingRunning):
        models.retrain(actor="api")
    client.delete(names.TRAINING_LOCK)


def test_a_model_is_put_beside_the_champion_given_a_share_and_taken_away(
    models: QueuedModelOperations, client: Redis, ledger: Ledger
) -> None:
    before = serving(client)
    other = "second" if before == "first" else "first"

    shadow = models.wait_for(models.compare("shadow", other, share=0.0, actor="api"), timeout_s=LIMIT_S)
    looking_on = models.challenger().pointer
    canary = models.wait_for(models.compare("canary", other, share=0.2, actor="api"), timeout_s=LIMIT_S)
    deciding = models.challenger().pointer
    ended = models.wait_for(models.compare("end_challenger", None, share=0.0, actor="api"), timeout_s=LIMIT_S)
    twice = models.wait_for(models.compare("end_challenger", None, share=0.0, actor="api"), timeout_s=LIMIT_S)

    assert [(job.status, job.model_version) for job in (shadow, canary, ended)] == [("done", other)] * 3
    assert looking_on is not None
    assert deciding is not None
    assert (looking_on.role, deciding.role, deciding.share) == ("shadow", "canary", 0.2)
    assert models.challenger().pointer is None
    assert (twice.status, twice.code) == ("refused", "unknown_id")
    assert serving(client) == before
    told = [event.action for event in ledger.model_events(3)]
    assert told == ["canary_ended", "canary_started", "shadow_started"]
