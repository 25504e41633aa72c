"""Every long-running process of Tollgate, defined once.

The launcher runs these, and docker-compose.yml is tested against them. Scoring workers are solo: one process
per core, the model in the consuming process.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from config import names
from config.settings import Settings
from deploy.launcher.child import Process

WEB, BEAT, WORKER, SIDECAR, BROKER = range(5)
EXPORTER_SCRIPT = Path(__file__).parent.parent / "setup" / "exporter.sh"
DEVELOPMENT_KEY_FLAG = "--development-key"

# Longer than an honest client needs for its headers; bodies have TOLLGATE_BODY_TIMEOUT_S.
HEADER_TIMEOUT_MS = 10_000

# They get the processor that nobody else wants: slow is not hanging there. How long a background worker may be in one
# task, the task declares; this is how long it may be silent.
PATIENCE = {"bulk": 10.0, "background": 10.0}

# A training ends by itself: its pool keeps time limits.
WATCHED = (*names.ROLES_WITH_A_MODEL, "background")

# One thread each for OpenMP and BLAS: two scoring processes with two threads each on two cores fell from 350
# requests/s to 53. MLflow's telemetry and background jobs are not wanted on a laptop.
QUIET = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


def environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """What every child gets: the launcher's environment, the settings as resolved, one thread per library."""
    resolved = settings.model_dump(mode="json")
    return {
        **inherited,
        **{f"TOLLGATE_{name.upper()}": _as_text(value) for name, value in resolved.items() if value is not None},
        **QUIET,
        "NUMBA_CACHE_DIR": str(settings.data_dir / "cache" / "numba"),
        "MPLCONFIGDIR": str(settings.data_dir / "cache" / "matplotlib"),
    }


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def valkey(settings: Settings, binary: Path) -> Process:
    """The embedded broker and state store. `binary` comes from `deploy.launcher.valkey`."""
    return Process("valkey", (str(binary), *valkey_flags(settings)), BROKER)


def valkey_flags(settings: Settings) -> tuple[str, ...]:
    """The server's configuration: nothing acknowledged is lost or evicted, nobody outside gets in."""
    return (
        *("--port", str(settings.redis_port)),
        *("--bind", "127.0.0.1"),
        *("--protected-mode", "yes"),
        *("--dir", str(settings.data_dir / "valkey")),
        *durability_flags(settings),
    )


def durability_flags(settings: Settings) -> tuple[str, ...]:
    """The part of the configuration that a server in a container shares."""
    return (
        *("--appendonly", "yes"),
        *("--appendfsync", settings.appendfsync),
        *("--save", ""),
        *("--auto-aof-rewrite-percentage", "100"),
        *("--auto-aof-rewrite-min-size", "256mb"),
        *("--maxmemory", str(settings.redis_maxmemory_bytes)),
        *("--maxmemory-policy", "noeviction"),
    )


def web(settings: Settings) -> Process:
    """The HTTP side. A web process that dies is replaced by granian itself, at once.

    On SIGHUP granian starts new web processes beside the old ones, which it stops after the respawn interval: longer
    than an import takes (1.5 s on an idle machine). Where it takes longer all the same, or a process is killed, clients
    wait at the socket, which the server keeps (`web.server`).
    """
    argv = (
        *python("web.server", "--interface", "wsgi", "--factory", "web.wsgi:make_app"),
        *("--host", settings.host, "--port", str(settings.port)),
        *("--workers", str(settings.web_processes), "--blocking-threads", str(settings.web_threads)),
        *("--no-ws", "--respawn-failed-workers", "--respawn-interval", "5", "--workers-kill-timeout", "15"),
        *("--http1-header-read-timeout", str(HEADER_TIMEOUT_MS)),
    )
    return Process("web", argv, WEB)


def scoring(number: int) -> Process:
    """Scoring worker `number` (from 1)."""
    name = f"scoring-{number}"
    return _worker(name, "scoring", names.SCORING_QUEUES, pool="solo")


def bulk(number: int) -> Process:
    """Bulk worker `number` (from 1): the chunks of batches."""
    return _worker(f"bulk-{number}", "bulk", (names.QUEUE_BULK,), pool="solo")


def background() -> Process:
    """The worker that drains the journal, reaps the inbox and keeps house."""
    return _worker("background", "background", names.BACKGROUND_QUEUES, pool="solo")


def training() -> Process:
    """The worker that trains and promotes. Prefork, so that a training that takes too long can be ended; a new child
    each time, so that its memory is given back.
    """
    return _worker(
        "training",
        "training",
        (names.QUEUE_TRAIN,),
        pool="prefork",
        more=("--concurrency", "1", "--max-tasks-per-child", "1"),
    )


def beat() -> Process:
    """The clock: redbeat, so a second beat anywhere does no harm."""
    argv = (*python("celery", "-A", "workers.app"), "beat", "--loglevel", "INFO", "--pidfile", "")
    return Process("beat", argv, BEAT, {"TOLLGATE_ROLE": "background"})


def mlflow(settings: Settings, host: str = "127.0.0.1") -> Process:
    """Tracking server and model registry. Nothing waits for it: its import alone takes seconds."""
    home = settings.data_dir / "mlflow"
    argv = (
        *python("mlflow", "server", "--host", host, "--port", str(settings.mlflow_port)),
        *("--backend-store-uri", f"sqlite:///{home / 'mlflow.db'}"),
        *("--artifacts-destination", str(home / "artifacts"), "--workers", "1"),
    )
    return Process("mlflow", argv, SIDECAR)


def prepare(*, has_development_key: bool = False) -> Process:
    """The step before the workers: the ledger's newest tables, and a champion for the schema in use.

    `has_development_key`: a key for programs of this machine as well; never where others reach it.
    """
    flags = (DEVELOPMENT_KEY_FLAG,) if has_development_key else ()
    return Process("prepare", python("deploy.launcher.prepare", *flags), WORKER, to_terminal=True)


def celery_exporter(settings: Settings) -> Process:
    """Celery's metrics for Prometheus, from a virtual environment of its own: its pins clash with ours."""
    argv = ("bash", str(EXPORTER_SCRIPT), str(settings.exporter_venv), *exporter_flags(settings))
    # The broker's URL may hold a password: not on a command line that `ps` shows.
    return Process("celery-exporter", argv, SIDECAR, {"CE_BROKER_URL": settings.redis_url})


def exporter_flags(settings: Settings, host: str = "127.0.0.1") -> tuple[str, ...]:
    """What the exporter is told; the same in a container."""
    return (
        *("--host", host, "--port", str(settings.exporter_port)),
        *("--queues", ",".join(names.QUEUES)),
    )


def _worker(name: str, role: str, queues: Sequence[str], *, pool: str, more: tuple[str, ...] = ()) -> Process:
    argv = (
        *python("celery", "-A", "workers.app"),
        *("worker", "--pool", pool, *more, "--queues", ",".join(queues), "--hostname", f"{name}@%h"),
        *("--without-gossip", "--without-mingle", "--loglevel", "INFO"),
    )
    watched = name if role in WATCHED else None
    return Process(name, argv, WORKER, {"TOLLGATE_ROLE": role}, worker=watched, patience=PATIENCE.get(role, 1.0))


def record_models() -> Process:
    """Tell MLflow, once it answers, about models that were trained while it was away. Nothing waits for it."""
    return Process("record-models", python("deploy.launcher.record_models"), SIDECAR, once=True)


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """A command that runs a module with this interpreter."""
    return (sys.executable, "-m", module, *arguments)
