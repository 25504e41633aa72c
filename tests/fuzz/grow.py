"""Coverage-guided fuzzing (`make fuzz SECONDS=60`): what it finds goes into the corpus, one file each.

Each target runs in a process of its own, with atheris, for its share of the time. What it reached stays in `.fuzz/NAME`
for the next run; an input that ends in anything but a value or a declared error is kept in the corpus under the name of
its error, and `make test` fails on it until it is fixed. Linux only, since atheris is.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.fuzz.targets import BYTES_MAX, CORPUS, TARGETS, Target

REACHED: Final = Path(".fuzz")
MEMORY_MB: Final = 2048
SLOWEST_S: Final = 10
KEPT_BYTES_MAX: Final = 4096
"""What only reached new code is not committed; what failed is, up to this size."""


def main() -> int:
    """Fuzz every target, or those that are named; how many of them have findings."""
    arguments = _arguments()
    chosen = [target for target in TARGETS if not arguments.targets or target.name in arguments.targets]
    if arguments.inside:
        _fuzz(chosen[0], arguments.seconds)
    share_s = max(1, arguments.seconds // len(chosen))
    return sum(not _grow(target, share_s) for target in chosen)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(target.name for target in TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _grow(target: Target, seconds: int) -> bool:
    """Fuzz one target in a child; whether everything ended well."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.fuzz.grow", target.name, "--inside", "--seconds", str(seconds)]
        child = subprocess.run(
            command,
            env={**_environment(), "TOLLGATE_FUZZ_FINDINGS": folder},
            capture_output=True,
            text=True,
            check=False,
        )
        found = [_keep(target, path) for path in sorted(Path(folder).iterdir())]
    reached = len([*(REACHED / target.name).iterdir()])
    _say(f"{target.name:14} {reached:5} inputs reach something new, {len(found)} findings")
    for path in found:
        _say(f"  {path}: {_reason(child.stderr)}")
    if child.returncode and not found:
        _say(child.stderr[-2000:])
    return child.returncode == 0


def _environment() -> dict[str, str]:
    import os  # here alone: the fuzzer's child is given one variable

    return dict(os.environ)


def _keep(target: Target, path: Path) -> Path:
    kept = CORPUS / target.name / f"found_{path.name.rpartition('-')[2][:12]}"
    if path.stat().st_size > KEPT_BYTES_MAX:
        kept = REACHED / f"{target.name}_{kept.name}"
    shutil.copy(path, kept)
    return kept


def _reason(log: str) -> str:
    lines = [line for line in log.splitlines() if "Error" in line or "Exception" in line]
    return lines[-1].strip() if lines else "out of memory, or too slow"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _fuzz(target: Target, seconds: int) -> None:
    """In the child: never returns."""
    import os

    import atheris  # an extra that only this needs

    reached = REACHED / target.name
    reached.mkdir(parents=True, exist_ok=True)
    words = reached.with_suffix(".words")
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
    atheris.instrument_all()
    atheris.Setup(
        [
            sys.argv[0],
            str(reached),
            str(CORPUS / target.name),
            f"-max_total_time={seconds}",
            f"-max_len={BYTES_MAX}",
            f"-rss_limit_mb={MEMORY_MB}",
            f"-timeout={SLOWEST_S}",
            f"-dict={words}",
            f"-artifact_prefix={os.environ['TOLLGATE_FUZZ_FINDINGS']}/",
        ],
        target.run,
    )
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    sys.exit(main())
