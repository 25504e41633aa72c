"""The running stack against its own OpenAPI document: whatever is generated from it is answered as it says."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from config.schema.load import load_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from tests.e2e.running_stack import RunningStack
from web.openapi import build_document

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
EXAMPLES = 10

# Not schemathesis' own fixtures: 4.32 reads an attribute that pytest 9.2 no longer has.
_schema = schemathesis.openapi.from_dict(build_document(load_schema(DEFAULT_SCHEMA)))
OPERATIONS = [found.ok() for found in _schema.get_all_operations()]


def can_be_wrong(operation: schemathesis.APIOperation) -> bool:
    """Whether there is an input that the document forbids: a header that may be any text is not enough."""
    raw = operation.definition.raw
    parameters = raw.get("parameters", [])
    return "requestBody" in raw or any(one["in"] != "header" or len(one["schema"]) > 1 for one in parameters)


WITH_INPUT = [one for one in OPERATIONS if can_be_wrong(one)]
ASKED = [(one, GenerationMode.POSITIVE) for one in OPERATIONS] + [(one, GenerationMode.NEGATIVE) for one in WITH_INPUT]


@pytest.mark.parametrize(("operation", "mode"), ASKED, ids=[f"{mode.value}-{one.label}" for one, mode in ASKED])
def test_an_operation_answers_as_documented(
    stack: RunningStack, operation: schemathesis.APIOperation, mode: GenerationMode
) -> None:
    cases = operation.as_strategy(generation_mode=mode)

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def answers(case: schemathesis.Case) -> None:
        case.call_and_validate(base_url=stack.url, checks=CHECKS, timeout=20)

    answers()
