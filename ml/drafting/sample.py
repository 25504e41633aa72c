"""A sample of a data file, spread over the whole of it: enough to guess what its columns are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ml.csv_form import PACKED, advise_encoding, find_delimiter

SAMPLE_ROWS = 200_000
_BATCH_ROWS = 65_536
_PARQUET_MAGIC = b"PAR1"
_UNPACK_FIRST = frozenset({".zip", ".xz", ".zst", ".7z"})


@dataclass(frozen=True)
class Sample:
    """Some rows of a data file in file order.

    `rows`: about how many the file has. `step`: every how manieth was taken. `with_nulls`: columns in which
    something is missing somewhere (in the whole file for Parquet, in the sample for CSV).
    """

    frame: pd.DataFrame
    rows: int
    step: int
    with_nulls: frozenset[str]


def read_sample(path: Path, limit: int = SAMPLE_ROWS) -> Sample:
    """At most about `limit` rows of a CSV or Parquet file.

    Raises:
        ValueError: the file is neither, or has no rows or columns.
    """
    if path.suffix.lower() in _UNPACK_FIRST:
        raise ValueError(f"{path} is packed in a way that training does not read; unpack it, or pack it as .gz.")
    with path.open("rb") as stream:
        is_parquet = stream.read(4) == _PARQUET_MAGIC
    try:
        sample = _read_parquet(path, limit) if is_parquet else _read_csv(path, limit)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} cannot be read: {advise_encoding(path)}") from error
    except (pa.ArrowException, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{path} can be read neither as CSV (UTF-8) nor as Parquet: {error}") from error
    if sample.frame.empty:
        raise ValueError(f"{path} has no rows.")
    return sample


def _read_parquet(path: Path, limit: int) -> Sample:
    file = pq.ParquetFile(path)
    rows = file.metadata.num_rows
    step = max(1, -(-rows // limit))
    taken: list[pa.RecordBatch] = []
    with_nulls: set[str] = set()
    seen = 0
    for batch in file.iter_batches(_BATCH_ROWS):
        with_nulls.update(name for name in batch.schema.names if batch.column(name).null_count)
        first = -seen % step
        taken.append(batch.take(pa.array(range(first, batch.num_rows, step), pa.int64())))
        seen += batch.num_rows
    frame = pa.Table.from_batches(taken, file.schema_arrow).to_pandas()
    return _sample(frame.reset_index() if frame.index.name else frame, rows, step, with_nulls)


def _read_csv(path: Path, limit: int) -> Sample:
    delimiter = find_delimiter(path)
    if path.suffix.lower() in PACKED:
        frame = pd.read_csv(path, sep=delimiter, nrows=limit, low_memory=False, encoding="utf-8-sig")
        return _sample(frame, len(frame), 1, set())
    rows = _count_lines(path) - 1
    step = max(1, -(-rows // limit))
    skip = (lambda line: line > 0 and (line - 1) % step != 0) if step > 1 else None
    frame = pd.read_csv(path, sep=delimiter, skiprows=skip, low_memory=False, encoding="utf-8-sig")
    return _sample(frame, max(rows, len(frame)), step, set())


def _sample(frame: pd.DataFrame, rows: int, step: int, with_nulls: set[str]) -> Sample:
    frame.columns = [str(name) for name in frame.columns]
    found = frame.columns[frame.isna().any()]
    return Sample(frame, rows, step, frozenset(with_nulls | set(found)))


def _count_lines(path: Path) -> int:
    with path.open("rb") as stream:
        count = sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(1 << 20), b""))
        stream.seek(max(stream.tell() - 1, 0))
        return count + (stream.read(1) not in (b"\n", b""))
