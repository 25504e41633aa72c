"""The secret scan finds a key that was left in a file, and lets pass what is known to be none."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests import secret_scan


def test_a_key_in_a_file_is_found_and_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = secrets.token_hex(20)
    (tmp_path / "settings.py").write_text(f'API_KEY = "{key}"\nNAME = "tollgate"\n')
    monkeypatch.setattr(secret_scan, "REPOSITORY", tmp_path)

    found = secret_scan.find_secrets(["settings.py"])

    assert found
    assert all(line.startswith("settings.py:1: ") and key not in line for line in found)


def test_what_is_known_to_be_none_is_still_there() -> None:
    for name, digest in secret_scan.KNOWN:
        assert (secret_scan.REPOSITORY / name).is_file(), (name, digest)
