"""The line per decision at level debug."""

from __future__ import annotations

import logging

import msgspec
import pytest
from structlog.testing import capture_logs

from config.contracts import Decision, ScoreRow
from workers import decision_log
from workers.store import NEW, Finished

DECISION = Decision("d-1", "t-1", 0.9, True, 90, "critical", "decline", [], "m1", "2026-03-01T12:00:00Z")
ROW = ScoreRow("t-1", "0" * 16, 0, 0, [], request_id="r-1")
BATCH = [Finished(ROW, NEW, msgspec.json.encode(DECISION)), Finished(ROW, "D", msgspec.json.encode(DECISION))]


@pytest.mark.parametrize(("level", "said"), [(logging.DEBUG, 1), (logging.INFO, 0)])
def test_new_decisions_are_logged_with_their_ids_at_debug_only(level: int, said: int) -> None:
    logger = logging.getLogger(decision_log.__name__)
    logger.setLevel(level)
    try:
        with capture_logs() as lines:
            decision_log.log_decisions(BATCH)
    finally:
        logger.setLevel(logging.NOTSET)

    assert len(lines) == said
    for line in lines:
        assert (line["request_id"], line["transaction_id"], line["decision_id"]) == ("r-1", "t-1", "d-1")
