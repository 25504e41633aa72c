"""The web process itself, where other machines would reach it: it does not start open."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("auth", "said"), [("off", "TOLLGATE_AUTH is off"), ("required", "nobody could come in")])
def test_a_web_process_that_others_reach_does_not_start_without_real_credentials(
    tmp_path: Path, auth: str, said: str
) -> None:
    given = {"TOLLGATE_HOST": "0.0.0.0", "TOLLGATE_AUTH": auth, "TOLLGATE_DATA_DIR": str(tmp_path)}
    migrate = "from ml.ledger import Ledger; from config.settings import load_settings as s; Ledger(s().database_url)"
    code = f"{migrate}.migrate(); from web.wsgi import make_app; make_app()"

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 1
    assert "SettingInvalid: TOLLGATE_HOST" in done.stderr
    assert said in done.stderr
