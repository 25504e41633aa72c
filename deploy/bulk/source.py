"""The file that is scored: what it is, what goes up of it, and the key under which it does."""

from __future__ import annotations

import gzip
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

import msgspec

from config.errors import TollgateError

FileFormat = Literal["ndjson", "json", "csv", "parquet"]
FORMATS: Final = get_args(FileFormat)
_SUFFIXES: Final[dict[str, FileFormat]] = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "json",
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
MEDIA_TYPES: Final = {"ndjson": "application/x-ndjson", "json": "application/json", "csv": "text/csv"}
PARQUET_ROWS: Final = 10_000


class FileUnusable(TollgateError):
    """The file cannot be sent: it is not there, it is empty, or its name does not say what it is."""

    code = "file_unusable"
    status = 422
    title = "The file cannot be used"


@dataclass(frozen=True, slots=True)
class Source:
    """What goes up: `path` as it is, `key` the same for the same content and options."""

    path: Path
    media_type: str
    is_gzip: bool
    size: int
    key: str

    @property
    def headers(self) -> dict[str, str]:
        """The headers that say what it is."""
        packed = {"Content-Encoding": "gzip"} if self.is_gzip else {}
        return {"Content-Type": self.media_type, **packed}


def prepare(path: Path, given: FileFormat | None, scratch: Path) -> Source:
    """The upload for a file; Parquet becomes packed NDJSON in `scratch`, row group by row group.

    Raises: FileUnusable.
    """
    if not path.is_file() or path.stat().st_size == 0:
        raise FileUnusable(f"{path} is not there, or is empty")
    form = given or format_of(path)
    is_gzip = path.suffix.lower() == ".gz"
    if form == "parquet":
        packed = scratch / "upload.ndjson.gz"
        pack_parquet(path, packed)
        path, form, is_gzip = packed, "ndjson", True
    key = hashlib.sha256(f"{form} {is_gzip}\n".encode())
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            key.update(block)
    return Source(path, MEDIA_TYPES[form], is_gzip, path.stat().st_size, f"score-{key.hexdigest()}")


def format_of(path: Path) -> FileFormat:
    """By suffix, a final .gz left aside. Raises FileUnusable."""
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    found = _SUFFIXES.get(name.suffix.lower())
    if found is None:
        raise FileUnusable(f"{path.name}: the suffix says nothing; give --format, one of {', '.join(FORMATS)}")
    return found


def pack_parquet(path: Path, to: Path) -> None:
    """NDJSON, packed; the same bytes for the same file, so that its key stays."""
    # mtime=0: gzip would write the time of day into the file.
    with to.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as file:
        for row in parquet_rows(path):
            file.write(msgspec.json.encode(row))
            file.write(b"\n")


def parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Each row without what is missing in it; times are RFC 3339, those without a zone taken as UTC.

    Raises: FileUnusable.
    """
    # Imported here: the other formats need no pyarrow.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=PARQUET_ROWS):
                for row in _plain_times(pa, batch).to_pylist():
                    yield {name: _plain(value) for name, value in row.items() if not _is_missing(value)}
    except pa.ArrowInvalid as error:
        raise FileUnusable(f"{path} cannot be read as Parquet: {error}") from error


def _plain_times(pa: Any, batch: Any) -> Any:
    """Nanoseconds become microseconds: Python's datetime has no more."""
    arrays = [
        array.cast(pa.timestamp("us", tz=array.type.tz), safe=False) if pa.types.is_timestamp(array.type) else array
        for array in batch.columns
    ]
    return pa.record_batch(arrays, names=batch.schema.names)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def as_format(text: str | None) -> FileFormat | None:
    """The option `--format`, which click has checked."""
    return cast("FileFormat | None", text)
