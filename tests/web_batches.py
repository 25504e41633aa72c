"""What the tests of /batches share: uploading, what is left on the disk, a line of results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

NDJSON = "application/x-ndjson"
LINES = b'{"amount": 1}\n{"amount": 2}\n'


def submit(client: FlaskClient, body: bytes = LINES, content_type: str = NDJSON, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/batches", data=body, content_type=content_type, headers=named)


def left_over(blobs: Path) -> list[Path]:
    return [path for path in blobs.rglob("*") if path.is_file()] if blobs.exists() else []


def decided(row: int, transaction_id: str, reasons: tuple[str, ...] = ()) -> bytes:
    """A line of results as a worker writes it."""
    why = [{"code": code, "feature": "f", "direction": "raises", "impact": 1.0, "message": ""} for code in reasons]
    return (
        json.dumps(
            {
                "row": row,
                "replayed": False,
                "decision_id": f"d-{row}",
                "transaction_id": transaction_id,
                "fraud_probability": 0.25,
                "is_fraud": False,
                "risk_score": 25,
                "risk_level": "low",
                "action": "approve",
                "reasons": why,
                "model_version": "m1",
                "scored_at": "2026-03-01T12:00:00Z",
                "degraded": False,
            }
        ).encode()
        + b"\n"
    )
