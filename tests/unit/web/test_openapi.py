"""The OpenAPI document: valid, complete, true to the app, and the same as the checked-in copy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from referencing import Registry, Resource

from config.schema.model import Schema
from config.schema.openapi import examples
from tests.web_app import PAYMENT
from web.openapi import build_document, main
from web.openapi_paths.limits import limit_headers
from web.routes import route_name

CHECKED_IN = Path(__file__).parents[3] / "docs" / "openapi.json"


@pytest.fixture(scope="module")
def document(schema: Schema) -> dict[str, Any]:
    return build_document(schema)


def answers_to(document: dict[str, Any], structure: str) -> Draft202012Validator:
    """A validator for one component of the document."""
    registry: Registry[Any] = Registry().with_resource("urn:document", Resource.opaque(document))
    return Draft202012Validator({"$ref": f"urn:document#/components/schemas/{structure}"}, registry=registry)


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_every_route_is_in_the_document_and_the_other_way_round(app: Flask, document: dict[str, Any]) -> None:
    served = {
        (route_name(rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "static"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {(path, method) for path, methods in document["paths"].items() for method in methods}

    assert served == described


def test_the_checked_in_document_equals_the_generated_one(capsys: pytest.CaptureFixture[str]) -> None:
    main()

    assert CHECKED_IN.read_text() == capsys.readouterr().out, "run: python -m web.openapi > docs/openapi.json"


def test_the_served_document_is_the_generated_one(client: FlaskClient, document: dict[str, Any]) -> None:
    assert client.get("/openapi.json").json == json.loads(json.dumps(document))


def test_operation_ids_are_unique(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]

    assert len(ids) == len(set(ids))


def test_every_example_of_a_transaction_is_scored(client: FlaskClient, schema: Schema) -> None:
    for name, example in examples(schema).items():
        assert client.post("/predict", json=example).status_code == 200, name


@pytest.mark.parametrize(
    ("method", "path", "body", "structure"),
    [
        ("POST", "/predict", PAYMENT, "Decision"),
        ("POST", "/feedback?actual_label=true", PAYMENT, "LabelRecord"),
        ("GET", "/health", None, "HealthReport"),
        ("GET", "/health/live", None, "Liveness"),
        ("POST", "/reload-model", None, "ReloadAnswer"),
        ("GET", "/models", None, "ModelList"),
        ("GET", "/decisions", None, "DecisionPage"),
        ("POST", "/batches", [PAYMENT], "BatchReport"),
        ("GET", "/batches", None, "BatchPage"),
        ("GET", "/batches/nobody", None, "Problem"),
        ("GET", "/nowhere", None, "Problem"),
        ("POST", "/predict", {}, "Problem"),
    ],
)
def test_answers_are_as_the_document_says(
    client: FlaskClient, document: dict[str, Any], method: str, path: str, body: Any, structure: str
) -> None:
    client.post("/predict", json=PAYMENT)

    response = client.open(path, method=method, json=body)

    assert list(answers_to(document, structure).iter_errors(response.json)) == []


def test_a_202_is_as_the_document_says(client: FlaskClient, document: dict[str, Any]) -> None:
    response = client.post("/predict", json=PAYMENT, headers={"Prefer": "respond-async"})

    assert list(answers_to(document, "Pending").iter_errors(response.json)) == []
    described = document["paths"]["/predict"]["post"]["responses"]["202"]["headers"]
    assert set(described) - set(limit_headers()) <= set(response.headers.keys())
