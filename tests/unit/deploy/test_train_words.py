"""What `tollgate train` tells at the end can be pasted as it stands."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from config.errors import SchemaInvalid
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from deploy.commands.promote import command, promote_command
from deploy.commands.train import _explain
from ml.bundle_files import write_files
from ml.training.run import Placement

CARD = DEFAULT_SCHEMA.parent / "card.toml"


def test_the_usual_settings_need_no_options() -> None:
    assert promote_command("card-1", Settings()) == "tollgate promote card-1"


def test_the_printed_command_has_every_option_that_it_needs(tmp_path: Path) -> None:
    store = tmp_path / "my models"
    settings = Settings(schema_file=CARD, model_dir=store)

    words = shlex.split(promote_command("card-1", settings))

    assert words == ["tollgate", "promote", "card-1", "--schema", str(CARD), "--out", str(store)]


@pytest.mark.parametrize("standing", ["challenger", "held back"])
def test_what_to_do_next_is_one_line_however_narrow_the_terminal(standing: str) -> None:
    said = _explain(Placement(standing, None, False), "v" * 150, Settings(schema_file=CARD))  # type: ignore[arg-type]

    assert "\n" not in said
    assert f"tollgate promote {'v' * 150} --schema {CARD}" in said


def test_promoting_with_another_schema_says_which_option_is_missing(tmp_path: Path) -> None:
    write_files(tmp_path / "card-1", {"bundle.joblib": b""}, {"model_version": "card-1", "schema_digest": "other"})

    result = CliRunner().invoke(command, ["card-1", "--out", str(tmp_path)])

    assert isinstance(result.exception, SchemaInvalid)
    assert "tollgate promote card-1 --schema FILE" in str(result.exception)
