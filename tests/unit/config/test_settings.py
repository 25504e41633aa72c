"""Settings that must fit each other."""

from __future__ import annotations

import pytest

from config.errors import SettingInvalid
from config.settings import load_settings


def test_the_ledger_must_keep_decisions_for_as_long_as_their_ids_are_remembered() -> None:
    with pytest.raises(SettingInvalid, match=r"TOLLGATE_LEDGER_RETENTION_S: .*at least TOLLGATE_DEDUPE_TTL_S"):
        load_settings(dedupe_ttl_s=3600, ledger_retention_s=3599)


@pytest.mark.parametrize("retention_s", [0, 3600, 10**9])
def test_for_ever_and_longer_are_fine(retention_s: int) -> None:
    assert load_settings(dedupe_ttl_s=3600, ledger_retention_s=retention_s).ledger_retention_s == retention_s
