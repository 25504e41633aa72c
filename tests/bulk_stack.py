"""A web server for the bulk commands that can be stopped and started, around batches in memory that a worker plays."""

from __future__ import annotations

import csv
import gzip
import io
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wsgi import LimitedStream

from config.queue.batches import BatchRecord
from config.schema.load import load_schema
from config.schema.validate import compile_validator
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from tests.batch_paths import BatchPaths
from tests.servers import free_port
from tests.web_app import build_app, decide_by_amount
from web.memory_batches import MemoryBatches
from web.memory_gateway import MemoryGateway

ROWS_PER_CHUNK = 2


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


@dataclass
class BulkStack:
    """Everything but the sockets survives `stop` and `start`. `requests`: method and path of each, in order."""

    blob_dir: Path
    port: int = field(default_factory=free_port)
    requests: list[str] = field(default_factory=list)
    gateway: MemoryGateway = field(default_factory=lambda: MemoryGateway(decide_by_amount))
    _server: BaseWSGIServer | None = None

    def __post_init__(self) -> None:
        schema = load_schema(DEFAULT_SCHEMA)
        settings = Settings(blob_dir=self.blob_dir)
        self.app: Flask = build_app(settings, self.gateway, schema, compile_validator(schema))
        self.app.before_request(self._on_request)
        self.on_request: list[Any] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def batches(self) -> MemoryBatches:
        found: MemoryBatches = self.app.extensions["tollgate"].batches
        return found

    def start(self) -> None:
        self._server = make_server(
            "127.0.0.1", self.port, self._with_bounded_input, threaded=True, request_handler=_Quiet
        )
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def restart(self, down_s: float = 0.3) -> None:
        """Go away now, and be back in a while; returns at once."""
        self.stop()
        threading.Timer(down_s, self.start).start()

    def work(self) -> None:
        """What a worker does in the meantime: each batch one step further."""
        for record in list(self.batches.records.values()):
            if record.status == "validating":
                self.batches.update(record.batch_id, status="in_progress", started_ms=record.created_ms, total=2)
            elif record.status == "in_progress":
                self._finish(record)

    def _with_bounded_input(self, environ: dict[str, Any], start_response: Any) -> Any:
        """granian's input ends where the body does; this server's goes on to the connection's end."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        return self.app({**environ, "wsgi.input": LimitedStream(environ["wsgi.input"], length)}, start_response)

    def _on_request(self) -> Any:
        from flask import request

        self.requests.append(f"{request.method} {request.path}")
        self.work()
        return self.on_request.pop(0)() if self.on_request else None

    def _finish(self, record: BatchRecord) -> None:
        files = BatchPaths.of(self.blob_dir, record.batch_id)
        rows = read_rows(record, files.upload.read_bytes())
        lines = [_line(number, row) for number, row in enumerate(rows, start=1)]
        chunks = [lines[start : start + ROWS_PER_CHUNK] for start in range(0, len(lines), ROWS_PER_CHUNK)]
        for number, chunk in enumerate(chunks):
            _write(files.results(number), [line for line in chunk if "code" not in line])
            _write(files.errors(number), [line for line in chunk if "code" in line])
        failed = sum("code" in line for line in lines)
        self.batches.update(
            record.batch_id,
            status="completed",
            total=len(lines),
            completed=len(lines) - failed,
            failed=failed,
            chunks=len(chunks),
            ended_ms=record.created_ms + 1000,
        )


def read_rows(record: BatchRecord, upload: bytes) -> list[dict[str, Any]]:
    """The rows of an upload, as a worker reads them."""
    content = gzip.decompress(upload) if record.is_gzip else upload
    if record.format == "csv":
        return list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    if record.format == "json":
        rows: list[dict[str, Any]] = json.loads(content)
        return rows
    return [json.loads(line) for line in content.splitlines()]


def _line(number: int, row: dict[str, Any]) -> dict[str, Any]:
    amount = float(row["amount"])
    if amount < 0:
        return {"row": number, "line": number, "code": "out_of_bounds", "field": "amount", "reason": "negative"}
    reason = {"code": "amount_high", "feature": "amount", "direction": "raises", "impact": 1.5, "message": ""}
    return {
        "row": number,
        "replayed": False,
        "decision_id": f"d-{number}",
        "transaction_id": row.get("transaction_id") or f"made-{number}",
        "fraud_probability": 0.5,
        "is_fraud": amount > 1000,
        "risk_score": 50,
        "risk_level": "medium",
        "action": "decline" if amount > 1000 else "approve",
        "reasons": [reason] if amount > 1000 else [],
        "model_version": "m1",
        "scored_at": "2026-03-01T12:00:00Z",
        "degraded": False,
    }


def _write(path: Path, lines: list[dict[str, Any]]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
