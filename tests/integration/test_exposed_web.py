"""The web process itself, where other machines would reach it: it does not start open."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import os
from config.errors import SettingInvalid
from config.settings import load_settings
from ml.ledger import Ledger
from web.wsgi import make_app

Ledger(load_settings().database_url).migrate()
for auth in ("off", "required"):
    os.environ["TOLLGATE_AUTH"] = auth
    try:
        make_app()
    except SettingInvalid as error:
        print(error)
"""


def test_a_web_process_that_others_reach_does_not_start_without_real_credentials(tmp_path: Path) -> None:
    given = {"TOLLGATE_HOST": "0.0.0.0", "TOLLGATE_DATA_DIR": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    is_open, has_no_key = done.stdout.splitlines()
    assert "TOLLGATE_AUTH is off" in is_open
    assert "nobody could come in" in has_no_key
