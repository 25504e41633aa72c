"""The OpenAPI 3.1 document, made from the transaction schema, the answer structures and the error tree.

    python -m web.openapi > docs/openapi.json

writes the checked-in copy (default schema); a test compares it with what is generated.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from config.contracts import Decision
from config.queue.replays import ReplayRequest
from config.schema.load import load_schema
from config.schema.model import Schema
from config.schema.openapi import json_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from ml.advisor.report import ThresholdReport
from web.openapi_paths import paths
from web.openapi_paths.limits import limit_headers, with_limits
from web.openapi_paths.security import SCHEMES
from web.overview import Overview
from web.ports.labels import CLIENT_SOURCES
from web.problem_catalogue import ProblemType, catalogue
from web.shapes.batches import BatchPage, BatchReport, ErrorRow, ResultRow
from web.shapes.dead_letters import DeadLetterPage, DeadLetterRecord, ReplayRecord
from web.shapes.decisions import DecisionPage, DecisionRecord
from web.shapes.drift import DriftList, DriftRecord
from web.shapes.health import HealthReport, Liveness, MetricsSummary
from web.shapes.keys import ApiKeyIssued, ApiKeyList, ApiKeyRequest
from web.shapes.labels import LabelFileReport, LabelRecord
from web.shapes.models import ModelList, ReloadAnswer, TrainingState
from web.shapes.quality import QualityReport
from web.shapes.reviews import ReviewQueue
from web.shapes.transactions import DeadLettered, Pending

API_VERSION = "1"
_STRUCTURES = (
    Decision,
    Pending,
    DeadLettered,
    LabelRecord,
    LabelFileReport,
    HealthReport,
    Liveness,
    MetricsSummary,
    ReloadAnswer,
    ModelList,
    TrainingState,
    DecisionRecord,
    DecisionPage,
    ReviewQueue,
    QualityReport,
    ThresholdReport,
    DeadLetterRecord,
    DeadLetterPage,
    ReplayRecord,
    BatchReport,
    BatchPage,
    ResultRow,
    ErrorRow,
    DriftList,
    DriftRecord,
    Overview,
    ReplayRequest,
    ApiKeyRequest,
    ApiKeyList,
    ApiKeyIssued,
    ProblemType,
)


class Operation(NamedTuple):
    """One line of a list of routes."""

    method: str
    path: str
    summary: str


def build_document(schema: Schema) -> dict[str, Any]:
    """The document for one transaction schema; JSON types only."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tollgate",
            "version": API_VERSION,
            "summary": "Scores payments for fraud in real time",
            "description": f"Transactions follow the schema `{schema.name}`, version {schema.version}."
            " Every error is a problem document (RFC 9457) with a stable `code`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS],
        "paths": with_limits(paths(schema)),
        "components": {"schemas": _schemas(schema), "headers": limit_headers(), "securitySchemes": SCHEMES},
    }


def operations_of(document: dict[str, Any]) -> list[Operation]:
    """Method, path and summary of every operation, in the document's order."""
    return [
        Operation(method.upper(), path, operation["summary"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


_TAGS = (
    ("scoring", "One payment in, its decision out."),
    ("batches", "Many payments in one upload."),
    ("labels", "What a payment really was."),
    ("ledger", "Decisions that were made."),
    ("quality", "How right decisions were, once their labels arrived."),
    ("models", "Which model serves."),
    ("dead letters", "Accepted work that was given up, for operators."),
    ("operations", "Is it well, and how much has it done."),
    ("keys", "API keys, for administrators."),
    ("console", "Pages for people, and what only they ask for."),
    ("documentation", "This document, and pages made from it."),
)


def _schemas(schema: Schema) -> dict[str, Any]:
    _, components = msgspec.json.schema_components(_STRUCTURES, ref_template="#/components/schemas/{name}")
    return {
        "Transaction": json_schema(schema),
        **components,
        "Label": _label_schema(),
        "Problem": _problem_schema(),
    }


def _problem_schema() -> dict[str, Any]:
    text = {"type": "string"}
    error = {
        "type": "object",
        "required": ["pointer", "code", "message"],
        "properties": {
            "pointer": {**text, "description": "JSON pointer into the body, ?name of a query parameter, or a header."},
            "code": text,
            "message": text,
        },
    }
    return {
        "type": "object",
        "description": "What went wrong (RFC 9457). Match on `code`.",
        "required": ["type", "title", "status", "detail", "instance", "code", "errors"],
        "properties": {
            "type": {**text, "format": "uri-reference"},
            "title": text,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": text,
            "instance": {**text, "format": "uri"},
            "code": {**text, "enum": sorted({problem.code for problem in catalogue()})},
            "errors": {"type": "array", "items": error},
            "budget": {**text, "description": "With `rate_limited`: the budget that is used up."},
        },
    }


def _label_schema() -> dict[str, Any]:
    identifier = {"type": "string", "minLength": 1, "maxLength": 128}
    return {
        "type": "object",
        "description": "What a transaction really was. Give either transaction_id or decision_id.",
        "required": ["is_fraud"],
        "oneOf": [{"required": ["transaction_id"]}, {"required": ["decision_id"]}],
        "additionalProperties": False,
        "properties": {
            "transaction_id": identifier,
            "decision_id": identifier,
            "is_fraud": {"type": "boolean"},
            "source": {"enum": list(CLIENT_SOURCES)},
            "reason_code": {"type": ["string", "null"], "maxLength": 64},
            "known_at": {"type": "string", "format": "date-time", "description": "Default: now."},
            "amount": {
                "type": ["number", "null"],
                "minimum": 0,
                "description": "The money that was at stake.",
            },
            "label_id": {**identifier, "description": "Send the same one again and nothing changes."},
        },
        "examples": [{"transaction_id": "t-1", "is_fraud": True, "source": "chargeback"}],
    }


def main(schema_file: Path = DEFAULT_SCHEMA) -> None:
    """Write the document to standard output."""
    json.dump(build_document(load_schema(schema_file)), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
