"""Results as the user wants them: NDJSON as it came, CSV, or Parquet; by the suffix of the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from config.blobs.directory import FileBlob
from config.contracts import Action
from deploy.bulk.source import FileUnusable
from web.batch_rows import COLUMNS, Rows, as_csv
from web.shapes.batches import ResultRow

ROWS_PER_GROUP: Final = 50_000
SUFFIXES: Final = (".ndjson", ".jsonl", ".csv", ".parquet", ".pq")


class _Acted(msgspec.Struct):
    action: Action


_action = msgspec.json.Decoder(_Acted).decode
_row = msgspec.json.Decoder(ResultRow).decode


def require_writable(out: Path, errors: Path | None) -> None:
    """Pass when results can be written under this name: an hour of scoring must not end in a typo.

    Raises: FileUnusable.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise FileUnusable(f"{out.name}: results are written as {', '.join(SUFFIXES)}")
    for path in (out, errors):
        if path is not None and not path.absolute().parent.is_dir():
            raise FileUnusable(f"{path}: there is no directory {path.parent}")


def count_actions(lines: Path) -> Counter[Action]:
    """How often each action was decided."""
    with lines.open("rb") as file:
        return Counter(_action(line).action for line in file)


def write_results(lines: Path, out: Path) -> None:
    """Turn the downloaded lines into `out`; it appears when it is complete, and `lines` is gone then."""
    suffix = out.suffix.lower()
    if suffix in (".ndjson", ".jsonl"):
        lines.replace(out)
        return
    partial = out.with_name(f"{out.name}.part")
    if suffix == ".csv":
        with partial.open("wb") as file:
            file.writelines(as_csv(Rows([FileBlob(lines)], lines.stat().st_size)))
    else:
        _write_parquet(lines, partial)
    partial.replace(out)
    lines.unlink()


def _write_parquet(lines: Path, to: Path) -> None:
    # Imported here: the other formats need no pyarrow.
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "row": pa.int64(),
        "fraud_probability": pa.float64(),
        "risk_score": pa.int32(),
        "is_fraud": pa.bool_(),
        "degraded": pa.bool_(),
        "replayed": pa.bool_(),
        "reasons": pa.list_(pa.string()),
    }
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
    with pq.ParquetWriter(to, schema) as writer:
        for group in _groups(lines):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


def _groups(lines: Path) -> Iterator[list[dict[str, Any]]]:
    with lines.open("rb") as file:
        while group := [_flat(_row(line)) for line in islice(file, ROWS_PER_GROUP)]:
            yield group


def _flat(row: ResultRow) -> dict[str, Any]:
    named = {name: getattr(row, name) for name in COLUMNS}
    return {**named, "reasons": [reason.code for reason in row.reasons]}
