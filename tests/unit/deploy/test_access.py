"""What commands show to a server, the development key that `tollgate up` makes, and what is printed about it."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from config.api_keys import new_key
from config.schema.load import load_schema
from config.settings import Settings
from deploy.access import AccessRefused, headers_for, key_for, require_admitted
from deploy.cli import main
from deploy.launcher import processes
from deploy.launcher.banner import banner
from deploy.launcher.development_key import ensure_development_key, key_path
from ml.ledger import Ledger


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    ledger = Ledger(settings.database_url)
    ledger.migrate()
    yield ledger
    ledger.close()


def test_a_development_key_is_made_once_for_its_owner_alone_and_anew_when_it_is_gone(
    settings: Settings, ledger: Ledger
) -> None:
    ensure_development_key(settings, ledger)
    first = key_path(settings).read_text()
    ensure_development_key(settings, ledger)

    assert key_path(settings).read_text() == first
    assert stat.S_IMODE(key_path(settings).stat().st_mode) == 0o600
    [key] = ledger.keys.all()
    assert (key.kind, key.created_by) == ("development", "tollgate up")
    for broken in ("nonsense", new_key().text):
        key_path(settings).write_text(broken)
        ensure_development_key(settings, ledger)
        assert key_path(settings).read_text().strip().startswith("tg_")
        assert key_path(settings).read_text().strip() != broken


def test_a_revoked_development_key_is_replaced(settings: Settings, ledger: Ledger) -> None:
    ensure_development_key(settings, ledger)
    [key] = ledger.keys.all()
    ledger.keys.revoke(key.key_id, actor="test", now=key.created_at)

    ensure_development_key(settings, ledger)

    assert key.key_id not in key_path(settings).read_text()


def test_a_key_is_shown_in_the_order_given_settings_file_and_the_file_on_this_machine_only(settings: Settings) -> None:
    here, elsewhere = "http://127.0.0.1:8000", "https://tollgate.example"
    assert key_for(here, settings) == ""
    key_path(settings).write_text("from-file\n")

    assert key_for(here, settings) == "from-file"
    assert key_for(elsewhere, settings) == ""
    assert key_for("http://localhost.example", settings) == ""
    with_setting = settings.model_copy(update={"api_key": "from-settings"})
    assert key_for(elsewhere, with_setting) == "from-settings"
    assert key_for(here, with_setting, "given") == "given"
    assert (headers_for("k"), headers_for("")) == ({"Authorization": "Bearer k"}, {})


def test_a_closed_door_says_what_to_do() -> None:
    with pytest.raises(AccessRefused, match="TOLLGATE_API_KEY"):
        require_admitted(401, "http://x", "show an API key")
    with pytest.raises(AccessRefused, match="needs the scope score"):
        require_admitted(403, "http://x", "this needs the scope score")
    require_admitted(404, "http://x", "")


def test_the_banner_says_that_the_stack_is_open_or_shows_how_to_come_in(settings: Settings) -> None:
    schema = load_schema(settings.schema_file)
    key = str(settings.data_dir / "dev-key")

    opened = banner(settings, schema, seconds=1.0)
    closed = banner(settings.model_copy(update={"auth": "required"}), schema, seconds=1.0)

    assert "Open: no request is asked for credentials" in opened
    assert key in opened
    assert "Authorization" not in opened
    assert f'-H "Authorization: Bearer $(cat {key})"' in closed


def test_no_development_key_is_made_where_other_machines_come_in() -> None:
    assert "--development-key" not in processes.prepare().argv
    assert "--development-key" in processes.prepare(has_development_key=True).argv


def test_up_on_an_address_of_the_network_needs_auth_and_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, said in (((), "TOLLGATE_AUTH=required"), (("--auth",), "TOLLGATE_ADMIN_KEY")):
        done = CliRunner().invoke(main, ["up", "--host", "0.0.0.0", "--data-dir", str(tmp_path / "data"), *arguments])

        assert (done.exit_code, said in done.output) == (2, True), done.output
    assert not (tmp_path / "data" / "run").exists()


def test_keys_are_made_listed_rotated_and_revoked_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOLLGATE_DATA_DIR", str(tmp_path))
    runner = CliRunner()

    made = runner.invoke(main, ["keys", "create", "--name", "shop", "--scopes", "score, feedback", "--expires", "90d"])
    text = made.stdout.strip()
    rotated = runner.invoke(main, ["keys", "rotate", text[:11], "--overlap", "2h"])
    revoked = runner.invoke(main, ["keys", "revoke", text[3:11]])
    listed = runner.invoke(main, ["keys", "list"])
    told = runner.invoke(main, ["keys", "history"])

    assert [done.exit_code for done in (made, rotated, revoked, listed, told)] == [0, 0, 0, 0, 0]
    assert [line.split(": ")[0].split()[-1] for line in told.output.splitlines()] == [
        "key_revoked",
        "key_rotated",
        "key_created",
    ]
    assert made.stderr.splitlines()[-1] == "This is the key. It is shown this once:"
    assert rotated.stdout.strip()[3:11] in listed.output
    assert "revoked" in listed.output
    assert text[12:] not in listed.output
    refused = runner.invoke(main, ["keys", "create", "--name", "x", "--scopes", "everything"])
    assert (refused.exit_code, "not among" in refused.output) == (2, True)
    unknown = runner.invoke(main, ["keys", "revoke", "nobody00"])
    assert (unknown.exit_code, "no key in force" in unknown.output) == (2, True)
