"""Settings that must fit each other."""

from __future__ import annotations

import sys

import pytest

from config.blobs.choice import blobs_of
from config.errors import SettingInvalid
from config.settings import load_settings


def test_the_ledger_must_keep_decisions_for_as_long_as_their_ids_are_remembered() -> None:
    with pytest.raises(SettingInvalid, match=r"TOLLGATE_LEDGER_RETENTION_S: .*at least TOLLGATE_DEDUPE_TTL_S"):
        load_settings(dedupe_ttl_s=3600, ledger_retention_s=3599)


@pytest.mark.parametrize("retention_s", [0, 3600, 10**9])
def test_for_ever_and_longer_are_fine(retention_s: int) -> None:
    assert load_settings(dedupe_ttl_s=3600, ledger_retention_s=retention_s).ledger_retention_s == retention_s


@pytest.mark.parametrize("url", ["https://bucket/batches", "s3://", "s3://Bucket", "s3://bucket/a b", ""])
def test_a_blob_url_names_a_bucket(url: str) -> None:
    with pytest.raises(SettingInvalid, match=r"TOLLGATE_BLOB_URL: .*must be s3://bucket"):
        load_settings(blob_url=url)


def test_a_bucket_without_its_client_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "config.blobs.s3", None)

    with pytest.raises(SettingInvalid, match=r"TOLLGATE_BLOB_URL needs the extra `aws`"):
        blobs_of(load_settings(blob_url="s3://bucket/prefix-that-no-other-test-names"))
