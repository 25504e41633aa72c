"""GET /drift: the checks that the background worker stored, and their pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.blobs.directory import DirectoryBlobs
from config.queue.blobs import drift_picture
from config.settings import Settings
from ml.drift.report import ColumnDrift, DriftReport, QualityShare
from tests.web_app import assert_problem

SHARE = QualityShare(0.0, 0.1, 0.001)


def column(name: str, psi: float, findings: list[Any]) -> ColumnDrift:
    return ColumnDrift(
        name=name,
        psi=psi,
        expected_psi=0.01,
        p_value=0.0001,
        importance=0.2,
        findings=findings,
        missing=SHARE,
        unknown=None,
        outside=SHARE,
        labels=["any", "missing"],
        reference=[0.9, 0.1],
        window=[0.5, 0.5],
    )


def stored(number: int, *, is_compared: bool) -> dict[str, Any]:
    report = DriftReport(
        status="drifting" if is_compared else "no reference",
        detail="amount: distribution",
        model_version="m1",
        model_digest="d" * 64,
        since="2026-03-01T00:00:00+00:00",
        until="2026-03-02T00:00:00+00:00",
        rows=1234,
        score=column("score", 0.02, []) if is_compared else None,
        columns=[column("amount", 0.4, ["distribution"]), column("hour", 0.1, ["missing"])] if is_compared else [],
    )
    return {
        "id": number,
        "created_at": f"2026-03-0{number}T00:00:00Z",
        "has_asked": False,
        "report": msgspec.to_builtins(report),
    }


@pytest.fixture
def own_client(make_app: Callable[..., Flask], settings: Settings) -> FlaskClient:
    app = make_app(blob_dir=settings.model_dir.parent / "blobs")
    services = app.extensions["tollgate"]
    reports = (stored(2, is_compared=True), stored(1, is_compared=False))
    object.__setattr__(services, "ledger", replace(services.ledger, reports=reports))
    return app.test_client()


def test_the_list_is_short_and_the_newest_is_in_full(own_client: FlaskClient) -> None:
    answer = own_client.get("/drift").json

    assert [(one["id"], one["status"], one["score_psi"]) for one in answer["reports"]] == [
        (2, "drifting", 0.02),
        (1, "no reference", None),
    ]
    assert answer["reports"][0]["drifting"] == ["amount"]
    assert (answer["reports"][0]["picture"], answer["reports"][1]["picture"]) == ("/drift/2.png", None)
    assert answer["newest"]["columns"][1]["findings"] == ["missing"]
    assert len(own_client.get("/drift?limit=1").json["reports"]) == 1


def test_before_the_first_check_the_list_is_empty(client: FlaskClient) -> None:
    assert client.get("/drift").json == {"reports": [], "newest": None}


def test_one_report_by_its_number(own_client: FlaskClient) -> None:
    answer = own_client.get("/drift/2").json

    assert (answer["id"], answer["report"]["rows"]) == (2, 1234)
    assert_problem(own_client.get("/drift/3"), 404, "unknown_id")
    assert_problem(own_client.get(f"/drift/{2**60}"), 404, "unknown_id")
    assert_problem(own_client.get("/drift?limit=0"), 422, "invalid_request")


def test_the_picture_is_passed_on_and_a_missing_one_is_404(own_client: FlaskClient, settings: Settings) -> None:
    with drift_picture(DirectoryBlobs(settings.model_dir.parent / "blobs"), 2).written() as file:
        file.write(b"\x89PNG picture")

    found = own_client.get("/drift/2.png")

    assert (found.status_code, found.mimetype, found.data) == (200, "image/png", b"\x89PNG picture")
    assert_problem(own_client.get("/drift/1.png"), 404, "unknown_id")
