"""Programs that tests start and that `make test` installs from the system's packages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

TLS_BROKERS = ("valkey-server", "redis-server", "valkey-check-rdb", "redis-check-rdb")
"""Servers with TLS, by preference. Debian's `redis-tools` brings the server under the name of its checker: the program
looks at the name that it is called by. The package `redis-server` would start one.
"""


def required(*programs: str, also_in: Iterable[Path] = ()) -> str:
    """The path of the first that is there. None: the test is skipped with the reason, and fails where `CI=true`.

    `also_in`: directories to look in besides the search path.
    """
    places = os.pathsep.join([os.environ["PATH"], *map(str, also_in)])
    path = next(filter(None, (shutil.which(program, path=places) for program in programs)), None)
    if path is not None:
        return path
    reason = f"{' or '.join(programs)} is not installed: deploy/setup/system_packages.sh says how"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
