"""What `tollgate feedback` reports of the labels that were not kept."""

from __future__ import annotations

from deploy.bulk.label_run import outcome_of, problems_of
from deploy.bulk.server import Answered


def test_a_label_that_was_not_kept_has_the_status_that_it_would_have_alone() -> None:
    codes = ("unknown_id", "label_conflict", "invalid_request")
    errors = [{"line": line, "code": code, "detail": "", "errors": []} for line, code in enumerate(codes, start=1)]
    piece = [(row, {"transaction_id": f"t-{row}"}) for row in (11, 12, 13)]

    problems = problems_of(Answered(207, {"errors": errors}, {}), piece)

    assert [(one["row"], one["status"], one["code"]) for one in problems] == [
        (11, 404, "unknown_id"),
        (12, 409, "label_conflict"),
        (13, 422, "invalid_request"),
    ]
    assert [outcome_of(one["status"]) for one in problems] == ["unknown", "refused", "refused"]
