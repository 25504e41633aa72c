"""`tollgate reload`: every scoring worker loads the champion again and says so."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from config.errors import BrokerUnavailable
from config.settings import Settings, load_settings
from deploy.launcher.valkey import without_password

if TYPE_CHECKING:
    from web.ports.gateway import ReloadReport


@click.command()
@click.option("--timeout", "timeout_s", type=float, help="Seconds to wait [TOLLGATE_RELOAD_TIMEOUT_S].")
def command(timeout_s: float | None) -> None:
    """Make every scoring worker load the champion again, and print each one's answer.

    Scoring goes on meanwhile. Exit code 0 when all of them serve the champion, 1 when one is silent or refused it.
    """
    settings = load_settings()
    report = reload_workers(settings, settings.reload_timeout_s if timeout_s is None else timeout_s)
    for worker in report.workers:
        click.echo(f"{worker.worker}: {worker.status} {worker.model_version or ''} {worker.detail}".rstrip())
    if not report.workers:
        click.echo("no scoring worker is up", err=True)
    sys.exit(0 if report.agreed else 1)


def reload_workers(settings: Settings, timeout_s: float) -> ReloadReport:
    """Ask every scoring worker to load the champion and the policy file again, and wait for their answers.

    Raises:
        BrokerUnavailable, NotReady.
    """
    # Imported here: `tollgate reload --help` needs no Celery.
    from kombu.exceptions import OperationalError
    from redis.exceptions import RedisError

    from config.celery_app import make_celery
    from config.queue.connections import make_redis
    from web.reload import ReloadRequest

    client = make_redis(settings, timeout_s=2.0)
    try:
        return ReloadRequest(client, make_celery(settings, "web")).run(timeout_s)
    except (RedisError, OperationalError) as error:
        where = without_password(settings.redis_url)
        raise BrokerUnavailable(f"the broker at {where} does not answer; is Tollgate running? ({error})") from error
