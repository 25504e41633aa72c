"""docs/cli.md, written from the commands themselves: `python -m deploy.docs_site.cli_reference > docs/cli.md`."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from typing import Final

import click

from deploy.cli import main

HEAD: Final = """# The command line

`tollgate COMMAND --help` says the same as this page, which is generated:
`python -m deploy.docs_site.cli_reference > docs/cli.md`. Every command reads the settings of its environment
([settings.md](settings.md)), so another port or data directory is given as to `tollgate up`. Exit codes: 0 done, 2 a
wrong argument or a refusal, said in one line; any other is listed with its command.
"""


def reference() -> str:
    """The whole page."""
    context = click.Context(main, info_name="tollgate")
    return HEAD + "".join(_section(command, inner) for command, inner in _leaves(main, context))


def _leaves(group: click.Group, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """Every command that does something, groups opened, in the order of --help."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            raise LookupError(f"`{context.command_path}` lists `{name}` and has no such command")
        inner = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _leaves(command, inner)
        else:
            yield command, inner


def _section(command: click.Command, context: click.Context) -> str:
    records = [one.get_help_record(context) for one in command.params if isinstance(one, click.Option)]
    options = [_row(*record) for record in records if record is not None]
    table = ["", "| option | what it does |", "|---|---|", *options] if options else []
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    return (
        "\n".join([f"\n## {context.command_path}\n", f"`{usage}`\n", _in_markdown(command.help or ""), *table]) + "\n"
    )


def _row(option: str, text: str) -> str:
    choices = option.replace("|", r"\|")
    return f"| `{choices}` | {_in_markdown(text)} |".replace("  [", " [")


def _in_markdown(text: str) -> str:
    """Names of files and settings as code; nothing that a page would read as a tag or a table."""
    words = inspect.cleandoc(text).replace("|", r"\|").replace("<", "&lt;")
    return re.sub(r"(?<![\w`])(TOLLGATE_\w+|--[a-z][\w-]*|\.tollgate/)(?!\w)", r"`\1`", words)


if __name__ == "__main__":
    sys.stdout.write(reference())
