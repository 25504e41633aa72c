"""Coverage-guided fuzzing (`make fuzz SECONDS=60`): what it finds goes into the corpus, one file each.

Each target has its share of the time, in a process of its own. What reaches new code stays in `.fuzz/NAME` for the next
run; an input that ends in anything but a value or a declared error is kept in the corpus, where `make test` fails on it
until that is fixed. Linux only, since atheris is.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.fuzz.targets import CORPUS, REACHED, TARGETS, Target

KEPT_BYTES_MAX: Final = 4096
"""A finding that is larger stays in `.fuzz`: cut it down by hand before it is committed."""


def main() -> int:
    """Fuzz every target, or those that are named; how many of them have findings."""
    parser = argparse.ArgumentParser(description="Look for inputs that break the parsers.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(target.name for target in TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together")
    arguments = parser.parse_args()
    chosen = [target for target in TARGETS if not arguments.targets or target.name in arguments.targets]
    share_s = max(1, arguments.seconds // len(chosen))
    return sum(not ends_well(target, share_s) for target in chosen)


def ends_well(target: Target, seconds: int) -> bool:
    """Fuzz one target in a child and say what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.fuzz.guided", target.name, str(seconds), folder]
        child = subprocess.run(command, capture_output=True, text=True, check=False)
        found = [_kept(target, path) for path in sorted(Path(folder).iterdir())]
    reached = len([*(REACHED / target.name).glob("*")])
    _say(f"{target.name:14} {reached:5} inputs reach something new, {len(found)} findings")
    for path in found:
        _say(f"  {path}: {_reason(child.stdout + child.stderr)}")
    if child.returncode and not found:
        _say(child.stderr[-2000:])
    return child.returncode == 0


def _kept(target: Target, path: Path) -> Path:
    name = f"found_{path.name.rpartition('-')[2][:12]}"
    is_small = path.stat().st_size <= KEPT_BYTES_MAX
    return Path(shutil.copy(path, CORPUS / target.name / name if is_small else REACHED / f"{target.name}_{name}"))


def _reason(log: str) -> str:
    lines = [line for line in log.splitlines() if "Error" in line or "Exception" in line]
    return lines[0].strip() if lines else "out of memory, or too slow"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
