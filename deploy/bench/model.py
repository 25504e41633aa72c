"""The models that the servers of a benchmark serve, put where each of them looks."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime

import click
import msgspec
from redis import Redis

from config import names
from config.contracts import ChampionPointer
from config.settings import Settings
from deploy.bench.site import Site, free_port
from deploy.launcher import processes, valkey

MODEL_VERSION = "bench-200-trees"
ABOUT = (
    "Both sides serve 200 boosted trees of at most 6 levels and 31 leaves, trained on the same made-up payments: "
    "the baselines behind a one-hot encoder and a DataFrame, Tollgate as a bundle of its default schema."
)


def prepare_models(site: Site) -> str:
    """Train, and make the bundle the champion of the measured Tollgate; returns a sentence for the report.

    Raises:
        click.ClickException: it does not work; the message says what the trainer said.
    """
    train = processes.python("deploy.bench.train", str(site.work_dir))
    done = subprocess.run(train, cwd=site.repository, capture_output=True, text=True)  # noqa: S603 - our own argv
    if done.returncode:
        raise click.ClickException(f"the models of the benchmark cannot be trained:\n{done.stderr}")
    crown(site, digest=done.stdout.strip())
    return ABOUT


def crown(site: Site, *, digest: str) -> None:
    """Write the champion pointer into the state that Tollgate will start with, and keep that state as template."""
    settings = Settings(data_dir=site.template_dir, redis_port=free_port())
    pointer = ChampionPointer(
        model_version=MODEL_VERSION,
        digest=digest,
        path=MODEL_VERSION,
        generation=1,
        promoted_at=datetime.now(UTC).isoformat(),
    )
    (settings.data_dir / "valkey").mkdir()
    server = processes.valkey(settings, valkey.server_binary())
    with site.running(server.name, server.argv, {}) as child, Redis.from_url(settings.redis_url) as client:
        site.wait_until(lambda: valkey.is_answering(client), child)
        client.set(names.CHAMPION, msgspec.json.encode(pointer))


def restore_tollgate(site: Site) -> None:
    """Give the measured Tollgate the data it had before the first load: a champion and nothing else.

    Its cache of compiled code stays: a second start is what is measured, not the compiler.
    """
    site.tollgate_dir.mkdir(exist_ok=True)
    for entry in site.tollgate_dir.iterdir():
        if entry.name != "cache":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    shutil.copytree(site.template_dir, site.tollgate_dir, dirs_exist_ok=True)
