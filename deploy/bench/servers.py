"""Tollgate and the servers it is compared with: how each is started, and when it is ready for load."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial

from config.settings import Settings
from deploy.bench.bodies import builtin_bodies
from deploy.bench.model import restore_tollgate
from deploy.bench.site import Site, answers, free_port
from deploy.launcher.processes import python, web
from deploy.launcher.valkey import server_binary

TOLLGATE_APP = "web.wsgi:"


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is up. `pids` are the roots of its process trees, `env` what its parts were told."""

    port: int
    pids: tuple[int, ...]
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/predict"


@dataclass(frozen=True, slots=True)
class Contender:
    """A row of the table: what it is, and how it is started.

    `keeps_history`: also measured with payments that name an account. `open_loop`: also measured at fixed rates.
    """

    title: str
    start: Callable[[Site], AbstractContextManager[Server]]
    keeps_history: bool = False
    open_loop: bool = True


@contextmanager
def tollgate(site: Site, appendfsync: str = "always") -> Iterator[Server]:
    """The whole stack as `tollgate up` starts it, on ports of its own, with the site's data directory.

    Ready when MLflow has come up as well: its import would take a core away from the first figures.
    """
    restore_tollgate(site)
    port, mlflow_port = free_port(), free_port()
    env = {
        "TOLLGATE_DATA_DIR": str(site.tollgate_dir),
        "TOLLGATE_AUTH": "off",
        "TOLLGATE_PORT": str(port),
        "TOLLGATE_REDIS_PORT": str(free_port()),
        "TOLLGATE_MLFLOW_PORT": str(mlflow_port),
        "TOLLGATE_EXPORTER_ENABLED": "false",
        "TOLLGATE_APPENDFSYNC": appendfsync,
    }
    with site.running("tollgate", python("deploy.cli", "up"), env) as child:
        site.wait_until(lambda: answers(port, "GET", "/health"), child)
        site.wait_until(lambda: answers(mlflow_port, "GET", "/health"), child)
        yield Server(port, (child.pid,))


@contextmanager
def empty_route(site: Site) -> Iterator[Server]:
    """An empty Flask route on Tollgate's own HTTP server with Tollgate's own settings."""
    with _granian(site, "empty", "tests.benchmarks.empty_route:app", {}) as server:
        yield server


@contextmanager
def in_process(site: Site) -> Iterator[Server]:
    """FastAPI with the pipeline in the request, uvicorn with 2 workers."""
    port = free_port()
    argv = (
        *python("uvicorn", "tests.benchmarks.in_process:app", "--workers", "2"),
        *("--host", "127.0.0.1", "--port", str(port), "--log-level", "warning", "--no-access-log"),
    )
    with site.running("in_process", argv, {"BENCH_MODEL": str(site.model_file)}) as child:
        site.wait_until(lambda: _scores(port), child)
        yield Server(port, (child.pid,))


@contextmanager
def plain_queue(site: Site) -> Iterator[Server]:
    """Flask and Celery prefork x2 with `delay().get()`, on a Valkey of its own that keeps nothing on disk."""
    broker_port = free_port()
    env = {"BENCH_MODEL": str(site.model_file), "BENCH_REDIS_URL": f"redis://127.0.0.1:{broker_port}/0"}
    app = ("celery", "-A", "tests.benchmarks.plain_queue:queue", "worker", "--pool", "prefork")
    worker = python(*app, "--concurrency", "2", "--loglevel", "WARNING")
    with (
        site.running("valkey", _volatile_valkey(site, broker_port), {}) as broker,
        site.running("worker", worker, env) as worker_child,
        _granian(site, "plain_queue", "tests.benchmarks.plain_queue:app", env) as server,
    ):
        yield Server(server.port, (*server.pids, broker.pid, worker_child.pid), env)


def _volatile_valkey(site: Site, port: int) -> tuple[str, ...]:
    where = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(site.work_dir))
    return (str(server_binary()), *where, "--save", "", "--appendonly", "no")


@contextmanager
def _granian(site: Site, name: str, app: str, env: dict[str, str]) -> Iterator[Server]:
    """`app` on the command line that the launcher uses for Tollgate's web side."""
    port = free_port()
    argv = [app if word.startswith(TOLLGATE_APP) else word for word in web(Settings(port=port)).argv]
    with site.running(name, tuple(word for word in argv if word != "--factory"), env) as child:
        site.wait_until(lambda: _scores(port), child)
        yield Server(port, (child.pid,))


def _scores(port: int) -> bool:
    return answers(port, "POST", "/predict", builtin_bodies(1)[0])


CONTENDERS = {
    "tollgate": Contender("Tollgate", tollgate, keeps_history=True),
    "tollgate_everysec": Contender(
        "Tollgate, `appendfsync everysec`", partial(tollgate, appendfsync="everysec"), open_loop=False
    ),
    "empty": Contender("empty Flask route, same server", empty_route),
    "in_process": Contender("in-process: FastAPI, pipeline in the request", in_process),
    "plain_queue": Contender("plain queue: Flask + Celery, `delay().get()`", plain_queue),
}
