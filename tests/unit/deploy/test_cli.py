"""The command line's door: lazy, and clear about what is missing."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from config.errors import FieldError, SchemaInvalid
from deploy import cli


def test_help_lists_every_command_and_imports_none_of_them() -> None:
    program = (
        "import sys; from click.testing import CliRunner; from deploy.cli import main;"
        "result = CliRunner().invoke(main, ['--help']); print(result.output);"
        "heavy = {'numpy', 'sklearn', 'pandas', 'celery', 'flask', 'sqlalchemy'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else result.exit_code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    for name, entry in cli.COMMANDS.items():
        assert name in done.stdout
        assert entry.help.split()[0] in done.stdout


def test_a_missing_extra_is_a_message_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_science(_module: str) -> object:
        raise ModuleNotFoundError("No module named 'sklearn'", name="sklearn.ensemble")

    monkeypatch.setattr(cli.importlib, "import_module", without_science)

    result = CliRunner().invoke(cli.main, ["train"])

    assert result.exit_code == 1
    assert (
        "`tollgate train` needs the package sklearn: install it with pip install 'tollgate[workers]'" in result.output
    )


def test_a_module_that_no_extra_brings_is_a_defect_and_not_hidden() -> None:
    with pytest.raises(ModuleNotFoundError):
        cli.missing_extra("train", ModuleNotFoundError("No module named 'ml.tpyo'", name="ml.tpyo"))


def test_what_tollgate_can_name_is_printed_whole_and_ends_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def command() -> None:
        raise SchemaInvalid("payment.toml has 1 mistake", errors=(FieldError("/fields/0", "bad", "line 3: no type"),))

    monkeypatch.setattr(cli.importlib, "import_module", lambda _name: type("M", (), {"command": command}))

    result = CliRunner().invoke(cli.main, ["schema"])

    assert result.exit_code == 2
    assert "payment.toml has 1 mistake" in result.output
    assert "line 3: no type" in result.output


def test_an_unknown_command_is_refused() -> None:
    assert CliRunner().invoke(cli.main, ["dance"]).exit_code == 2
