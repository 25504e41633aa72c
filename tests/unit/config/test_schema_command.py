"""`tollgate schema` on the command line."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from config.setting_groups.places import DEFAULT_SCHEMA
from deploy.commands.schema import command


def test_check_says_what_a_valid_file_declares() -> None:
    result = CliRunner().invoke(command, ["check", str(DEFAULT_SCHEMA)])
    assert result.exit_code == 0
    assert "11, of which 6 are model inputs" in result.output
    assert "entity account account_id" in result.output


def test_check_explains_every_mistake_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text('name = "bad"\n[fields.a]\ntype = "numbr"\nmni = 0\n')
    result = CliRunner().invoke(command, ["check", str(file)])
    assert result.exit_code == 1
    assert 'line 3: "type" cannot be "numbr"' in result.output
    assert 'line 4: unknown key "mni"; did you mean "min"?' in result.output
    assert "2 mistakes" in result.output


def test_infer_writes_a_draft_that_checks(tmp_path: Path) -> None:
    data, out = tmp_path / "data.csv", tmp_path / "draft.toml"
    data.write_text("x,is_fraud\n" + "".join(f"{i / 7},{int(i % 9 == 0)}\n" for i in range(50)))
    runner = CliRunner()
    assert runner.invoke(command, ["infer", str(data), "--out", str(out)]).exit_code == 0
    assert runner.invoke(command, ["check", str(out)]).exit_code == 0
    assert "add --force" in runner.invoke(command, ["infer", str(data), "--out", str(out)]).output
    assert runner.invoke(command, ["infer", str(data)]).output == out.read_text()


def test_infer_without_a_label_says_what_to_do(tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text("a,b\n1,2\n3,4\n5,6\n")
    result = CliRunner().invoke(command, ["infer", str(data)])
    assert result.exit_code == 1
    assert "--label" in result.output
