"""Programs that tests start and that `make test` installs from the system's packages."""

from __future__ import annotations

import os
import shutil

import pytest


def required(program: str) -> str:
    """The program's path. Absent: the test is skipped with the reason, and fails where `CI=true`."""
    path = shutil.which(program)
    if path is not None:
        return path
    reason = f"{program} is not installed: deploy/setup/system_packages.sh says how"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
