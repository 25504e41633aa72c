"""How a CSV file is written: packed or not, its delimiter, its header.

`tollgate schema infer` and `tollgate train` both ask here, so that what the one reads the other reads too.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

DELIMITERS: Final = (",", ";", "\t", "|")
PACKED: Final[dict[str, Callable[..., Any]]] = {".gz": gzip.open, ".bz2": bz2.open}
_QUOTED: Final = re.compile(r'"(?:[^"]|"")*"')
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


def open_text(path: Path) -> IO[str]:
    """The file as text, unpacked if its name says that it is packed; a byte order mark is skipped."""
    opener = PACKED.get(path.suffix.lower(), open)
    stream: IO[str] = opener(path, "rt", encoding="utf-8-sig", newline="")
    return stream


def find_delimiter(path: Path) -> str:
    """The one of `DELIMITERS` that parts the header most often, outside quotes; a tab in a file called .tsv.

    Raises:
        UnicodeDecodeError: the file is not UTF-8.
    """
    if ".tsv" in path.suffixes:
        return "\t"
    with open_text(path) as stream:
        header = _QUOTED.sub("", stream.readline())
    return max(DELIMITERS, key=header.count)


def read_header(path: Path, delimiter: str) -> list[str]:
    """The names in the first line; none when the file is empty. Raises as `find_delimiter`."""
    with open_text(path) as stream:
        return next(csv.reader(stream, delimiter=delimiter), [])


def advise_encoding(path: Path) -> str:
    """What to do with a file that is not UTF-8."""
    with path.open("rb") as stream:
        found = "UTF-16" if stream.read(2) in _UTF_16 else "WINDOWS-1252"
    return f"it is not UTF-8 text; convert it first, for example: iconv -f {found} -t UTF-8 {path.name} > utf8.csv"
