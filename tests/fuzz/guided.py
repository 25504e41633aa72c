"""One target under atheris, in a process of its own: `python -m tests.fuzz.guided NAME SECONDS FINDINGS_DIRECTORY`.

Started by `tests.fuzz.grow`. Only what reads the inputs is instrumented: all that it imports would take minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import atheris

READERS: Final = (
    "config.card_numbers",
    "config.queue",
    "config.schema",
    "json",
    "ml.policy",
    "tomllib",
    "web.body",
    "web.idempotency",
    "web.identifiers",
    "web.label_rows",
    "web.labels",
    "web.preferences",
    "web.query",
    "web.upload",
    "workers.bulk",
)
MEMORY_MB: Final = 2048
SLOWEST_S: Final = 10

with atheris.instrument_imports(include=list(READERS)):
    from tests.fuzz.targets import BYTES_MAX, CORPUS, REACHED, TARGETS


def main(name: str, seconds: str, findings: str) -> None:
    """Fuzz until the time is over or something is found; the process ends with it."""
    target = next(target for target in TARGETS if target.name == name)
    reached = REACHED / name
    reached.mkdir(parents=True, exist_ok=True)
    words = reached.with_suffix(".words")
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
    options = (
        f"-max_total_time={seconds}",
        f"-max_len={BYTES_MAX}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-timeout={SLOWEST_S}",
        f"-dict={words}",
        f"-artifact_prefix={Path(findings)}/",
    )
    atheris.Setup([sys.argv[0], str(reached), str(CORPUS / name), *options], target.run)
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main(*sys.argv[1:])
