"""With a key, only signed bundles are opened: an unsigned or wrongly signed one never reaches joblib."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click.testing
import pytest

from config import bundle_key
from config.errors import BundleRefused, SettingInvalid
from config.settings import load_settings
from deploy.cli import main
from ml import bundle
from ml.bundle_files import SIGNATURE, read_files, read_manifest, write_files

KEY, OTHER = "k" * 32, "o" * 32


@pytest.fixture(autouse=True)
def no_key_afterwards() -> Iterator[None]:
    yield
    bundle_key.install_key("", "")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What joblib was asked to open."""
    asked: list[object] = []
    monkeypatch.setattr(bundle.joblib, "load", asked.append)
    return asked


def published(tmp_path: Path, *, key: str) -> Path:
    bundle_key.install_key(key, "")
    write_files(tmp_path / "m-1", {bundle.PICKLE: b"pickle", bundle.GOLDEN: b"{}"}, {"model_version": "m-1"})
    return tmp_path / "m-1"


def refused(directory: Path, opened: list[object]) -> str:
    with pytest.raises(BundleRefused) as error:
        bundle.load_bundle(directory)
    assert opened == []
    return str(error.value)


def test_a_signed_bundle_is_read_with_its_key(tmp_path: Path) -> None:
    directory = published(tmp_path, key=KEY)

    manifest, digest = read_manifest(directory)

    assert read_files(directory, manifest, (bundle.PICKLE,)) == {bundle.PICKLE: b"pickle"}
    bundle_key.install_key("", "")
    assert read_manifest(directory) == (manifest, digest), "without a key digests are enough"


def test_an_unsigned_bundle_is_refused_before_joblib_opens_it(tmp_path: Path, opened: list[object]) -> None:
    directory = published(tmp_path, key="")
    bundle_key.install_key(KEY, "")

    assert "is not signed" in refused(directory, opened)


def test_another_key_or_a_changed_manifest_is_refused_before_joblib_opens_it(
    tmp_path: Path, opened: list[object]
) -> None:
    directory = published(tmp_path, key=OTHER)
    bundle_key.install_key(KEY, "")
    assert "another key" in refused(directory, opened)

    bundle_key.install_key(OTHER, "")
    manifest = directory / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"m-1", b"m-2"))
    assert "changed" in refused(directory, opened)


def test_an_older_bundle_is_signed_by_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = published(tmp_path, key="")
    digest = read_manifest(directory)[1]
    monkeypatch.setenv("TOLLGATE_MODEL_DIR", str(tmp_path))
    monkeypatch.setenv("TOLLGATE_BUNDLE_KEY", KEY)
    run = click.testing.CliRunner().invoke

    assert run(main, ["sign", "m-1", "--digest", "0" * 64]).exit_code == 2
    assert not (directory / SIGNATURE).exists()
    assert run(main, ["sign", "m-1", "--digest", digest]).exit_code == 0
    assert read_manifest(directory)[1] == digest


def test_the_key_comes_from_a_file_as_well_and_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")

    settings = load_settings(bundle_key_file=str(file))
    signature = bundle_key.sign(b"manifest")

    assert KEY not in repr(load_settings(bundle_key=KEY))
    assert bundle_key.sign(b"manifest") == signature
    assert settings.bundle_key == ""


@pytest.mark.parametrize("given", [{"bundle_key": "short"}, {"bundle_key_file": "/nowhere"}])
def test_a_key_that_cannot_be_used_stops_the_process_without_being_repeated(given: dict[str, str]) -> None:
    with pytest.raises(SettingInvalid, match="TOLLGATE_BUNDLE_KEY") as error:
        load_settings(**given)

    assert "short'" not in str(error.value)
