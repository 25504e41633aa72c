"""Everything that reads bytes from outside, each as a function of bytes that must end in a value or a declared error.

`tests/fuzz/corpus/NAME` holds the inputs of the target NAME, one a file. `make test` replays them and mutates them some
hundred times; `make fuzz SECONDS=60` lets a coverage-guided fuzzer look for more.
"""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from config.blobs.store import BlobStore
from config.contracts import ChampionPointer, Decision, JournalRecord, LabelEntry, ScoreBatch, ScoreRow, WorkerReport
from config.errors import TollgateError
from config.queue.batches import BatchFiles, BatchFormat
from config.queue.bulk_journal import unpack_chunk
from config.queue.stamps import read_stamp
from config.schema.load import load_schema, parse_schema
from config.schema.model import Schema
from config.schema.openapi import json_schema
from config.schema.validate import Validator, compile_validator
from config.setting_groups.places import DEFAULT_SCHEMA
from ml.policy import load_policy
from tests.fuzz.memory_blobs import MemoryBlobs
from web.body import read_body, require_json
from web.idempotency import read_key
from web.identifiers import client_of, known_length
from web.label_rows import read_label_rows
from web.labels import parse_label
from web.preferences import parse_prefer
from web.query import flag, moment, number, parse_query, whole
from web.upload import read_head
from workers.bulk.index import build_index
from workers.bulk.rows import read_rows
from workers.bulk.scrub import scrub_upload
from workers.bulk.unpack import unpack_upload

CORPUS: Final = Path(__file__).parent / "corpus"
REACHED: Final = Path(".fuzz")
"""Where `make fuzz` keeps what reached new code, between its runs."""
BYTES_MAX: Final = 65_536
"""As large as the body of one request may be (`TOLLGATE_MAX_BODY_BYTES`); a seed is much smaller."""
UNPACKED_MAX: Final = 1 << 20
NOW: Final = datetime(2026, 3, 1, tzinfo=UTC)
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding says of what is no message, not UTF-8, or too deep: the task that was to do it ends with that."""
MESSAGES: Final = (
    ScoreBatch,
    ScoreRow,
    LabelEntry,
    list[LabelEntry],
    Decision,
    JournalRecord,
    ChampionPointer,
    WorkerReport,
)


@dataclass(frozen=True)
class Target:
    """`read` must return, or raise one of `declared`; anything else is a finding. `words`: what a fuzzer may insert."""

    name: str
    read: Callable[[bytes], object]
    declared: tuple[type[Exception], ...] = (TollgateError,)
    words: tuple[bytes, ...] = ()

    def run(self, data: bytes) -> None:
        """Feed one input. Raises what is not declared."""
        with suppress(*self.declared):
            self.read(data)

    def corpus(self) -> list[Path]:
        """The inputs that are kept, by name."""
        return sorted((CORPUS / self.name).iterdir())


@cache
def _schema() -> Schema:
    return load_schema(DEFAULT_SCHEMA)


@cache
def _validator(policy: str = "refuse") -> Validator:
    return compile_validator(_schema(), policy)  # type: ignore[arg-type]


def _predict(data: bytes) -> None:
    """What is accepted must also travel: it is encoded for the queue."""
    for policy in ("refuse", "mask", "allow"):
        with suppress(TollgateError):
            transaction = _validator(policy).parse(data)
            msgspec.json.encode([transaction.transaction_id, transaction.values])


def _label(data: bytes) -> None:
    """What is accepted must also travel: it is encoded for the queue."""
    label = parse_label(data, now=NOW, label_id="l")
    msgspec.json.encode([label.label_id, label.transaction_id, label.decision_id, label.reason_code, label.amount])


def _label_file(form: Any, data: bytes) -> None:
    half = len(data) // 2
    for row in read_label_rows([data[:half], data[half:]], form, now=NOW):
        if isinstance(row.label, Exception) and not isinstance(row.label, TollgateError):
            raise row.label


def _batch(kind: BatchFormat, is_gzip: bool, data: bytes) -> None:
    files = BatchFiles(cast("BlobStore", MemoryBlobs({"b/upload": data})), "b")
    unpack_upload(files, kind, is_gzip=is_gzip, max_bytes=UNPACKED_MAX, max_row_bytes=BYTES_MAX, alive=_nobody_waits)
    scrub_upload(files, kind, _validator().cards, alive=_nobody_waits)
    _, chunks = build_index(files, kind, chunk_rows=2, max_rows=1000, max_row_bytes=BYTES_MAX, alive=_nobody_waits)
    for chunk in range(chunks):
        read_rows(files, kind, chunk, _validator(), BYTES_MAX)


def _nobody_waits() -> None:
    """A worker tells here that it lives."""


def _packed(data: bytes) -> None:
    _batch("ndjson", True, data)
    _batch("ndjson", True, gzip.compress(data, 1, mtime=0))


def _prefer(data: bytes) -> None:
    parse_prefer(data.decode("latin-1"), max_wait_s=30)


def _query(data: bytes) -> None:
    query = parse_query(data.decode("latin-1"), {"a", "b", "limit", "since"})
    for read in (
        lambda: flag(query, "a"),
        lambda: number(query, "b", default=1, low=0, high=9),
        lambda: whole(query, "limit", default=1, low=0, high=9),
        lambda: moment(query, "since"),
    ):
        with suppress(TollgateError):
            read()


def _headers(data: bytes) -> None:
    """Every header that is read here, from lines of `NAME: value` as a server hands them over."""
    environ: dict[str, Any] = {"wsgi.input": _Body(data)}
    for line in data.decode("latin-1").splitlines():
        name, _, value = line.partition(":")
        environ[name.strip().upper().replace("-", "_")] = value.strip()
    environ["wsgi.input"] = _Body(data)
    for read in (require_json, client_of, read_key, _upload_head, _whole_body, _known_id):
        with suppress(TollgateError):
            read(environ)


def _upload_head(environ: dict[str, Any]) -> object:
    return read_head(environ, 1 << 30, must_be_whole="HTTP_IDEMPOTENCY_KEY" in environ)


def _whole_body(environ: dict[str, Any]) -> object:
    return read_body(environ, 1000)


def _known_id(environ: dict[str, Any]) -> object:
    return known_length(environ.get("ID", ""))


class _Body:
    """A body that comes in pieces of seven bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int) -> bytes:
        piece, self._data = self._data[: min(size, 7)], self._data[min(size, 7) :]
        return piece


def _schema_file(data: bytes) -> None:
    """What compiles is also written as OpenAPI and used once."""
    schema = parse_schema(data.decode("utf-8", "replace"))
    json_schema(schema)
    compile_validator(schema).parse(b"{}")


def _policy_file(data: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".toml", dir=_memory()) as file:
        file.write(data)
        file.flush()
        load_policy(Path(file.name), _schema())


def _memory() -> str | None:
    """Where files never reach a disk, if there is such a place."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _message(data: bytes) -> None:
    """The content of messages, entries and replies, as every reader of the queue decodes it."""
    for kind in MESSAGES:
        with suppress(*UNREADABLE):
            msgspec.json.decode(data, type=kind)


def _packed_chunk(data: bytes) -> None:
    """A payload of the bulk journal; its entry is on the first line."""
    head, _, payload = data.partition(b"\n")
    parts = (head.split(b";") + [b""] * 4)[:4]
    unpack_chunk(dict(zip((b"d", b"r", b"l", b"b"), parts, strict=True)), payload)


_JSON_WORDS: Final = (
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\u0000",
    b"1e999",
    b"NaN",
    b"-0",
    b"null",
    b"\xff",
    b"\xef\xbb\xbf",
)
_TOML_WORDS: Final = (
    b"[",
    b"]]",
    b"=",
    b'"""',
    b"\n",
    b"1979-05-27T07:32:00Z",
    b"inf",
    b"0x",
    b"'''",
    b"{",
    b".",
    b"true",
)

TARGETS: Final = (
    Target("predict", _predict, words=(*_JSON_WORDS, b'"amount":', b'"hour":', b"4111111111111111")),
    Target("label", _label, words=(*_JSON_WORDS, b'"is_fraud":', b'"known_at":', b'"2026-02-30T25:61:00Z"')),
    Target("label_ndjson", partial(_label_file, "ndjson"), words=(*_JSON_WORDS, b"\n", b"\r")),
    Target("label_csv", partial(_label_file, "csv"), words=(b",", b'"', b"\n", b"\r", b"\x00", b"is_fraud", b"1e999")),
    Target("batch_ndjson", partial(_batch, "ndjson", False), words=(*_JSON_WORDS, b"\n", b"4111111111111111")),
    Target("batch_json", partial(_batch, "json", False), words=(*_JSON_WORDS, b",", b"4111111111111111")),
    Target(
        "batch_csv", partial(_batch, "csv", False), words=(b",", b'"', b"\n", b"\r", b"\x00", b"4111 1111 1111 1111")
    ),
    Target("batch_gzip", _packed, words=(b"\x1f\x8b\x08", b"\x00\x00\xff\xff")),
    Target("prefer", _prefer, words=(b"wait=", b"respond-async", b";", b",", b'"', b"\\")),
    Target("query", _query, words=(b"&", b"=", b"%", b"a=true", b"limit=", b"since=2026-01-01", b"+")),
    Target("headers", _headers, words=(b"CONTENT_TYPE:", b"CONTENT_LENGTH:", b"HTTP_IDEMPOTENCY_KEY:", b"\n", b"gzip")),
    Target("schema", _schema_file, words=_TOML_WORDS),
    Target("policy", _policy_file, words=_TOML_WORDS),
    Target("message", _message, (), words=(*_JSON_WORDS, b'"values":')),
    Target("stamp", read_stamp, (), words=(*_JSON_WORDS, b'"headers":', b'"enqueued_ms":')),
    Target(
        "packed_chunk",
        _packed_chunk,
        (*UNREADABLE, ValueError, ZeroDivisionError),
        (b";", b"\n"),
    ),
)
