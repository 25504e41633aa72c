"""What is sent, when it is due, and what is counted."""

import json
import math
from array import array
from datetime import UTC, datetime, timedelta

import pytest

from config.settings import Settings
from deploy.bench.bodies import builtin_bodies, history_bodies, read_bodies
from deploy.bench.load import Load
from deploy.bench.pace import ClosedLoop, OpenLoop
from deploy.bench.processes import kind_of
from deploy.bench.tally import Latency, Tally
from deploy.launcher.processes import background, beat, mlflow, scoring, web


def test_the_builtin_bodies_are_a_thousand_different_ones_and_always_the_same():
    bodies = builtin_bodies()
    assert len(set(bodies)) == 1000
    assert bodies == builtin_bodies()


def test_history_bodies_name_an_account_and_a_time_just_passed():
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    bodies = [json.loads(body) for body in history_bodies(now, count=50)]
    assert len({body["account_id"] for body in bodies}) > 40
    assert all(
        timedelta(0) <= now - datetime.fromisoformat(body["timestamp"]) < timedelta(minutes=1) for body in bodies
    )


def test_bodies_are_read_one_a_line(tmp_path):
    file = tmp_path / "bodies.ndjson"
    file.write_bytes(b'{"a": 1}\n\n{"a": 2}\n')
    assert read_bodies(str(file)) == [b'{"a": 1}', b'{"a": 2}']


def test_a_file_without_bodies_is_refused(tmp_path):
    file = tmp_path / "empty.ndjson"
    file.write_bytes(b"\n")
    with pytest.raises(ValueError, match="no request body"):
        read_bodies(str(file))


def test_an_open_loop_hands_out_its_timetable_however_late_it_is_asked():
    pace = OpenLoop(100, start_at=5.0, stop_at=5.05)
    assert pace.take(4.99) is None
    assert [pace.take(9.0) for _ in range(6)] == pytest.approx([5.0, 5.01, 5.02, 5.03, 5.04, None])
    assert pace.next_at() == math.inf


def test_a_closed_loop_is_due_at_once_until_it_stops():
    pace = ClosedLoop(stop_at=2.0)
    assert pace.take(1.5) == 1.5
    assert pace.take(2.0) is None


def test_latency_counts_from_the_intended_send_time():
    tally = Tally(opens_at=0.0, closes_at=10.0)
    tally.answer(200, due_at=1.0, now=3.5)
    assert list(tally.latencies) == [2.5]


def test_answers_outside_the_window_are_not_counted():
    tally = Tally(opens_at=1.0, closes_at=2.0)
    for now in (0.9, 1.0, 1.9, 2.0):
        tally.answer(200, due_at=0.5, now=now)
    assert tally.statuses == {200: 2}
    assert not tally.latencies  # all four were due during the warm-up


def test_a_request_sent_in_the_window_and_answered_after_it_keeps_its_latency():
    tally = Tally(opens_at=0.0, closes_at=1.0)
    tally.answer(200, due_at=0.9, now=8.0)
    assert not tally.statuses
    assert list(tally.latencies) == pytest.approx([7.1])


def test_a_quick_refusal_does_not_improve_the_latencies():
    tally = Tally(opens_at=0.0, closes_at=1.0)
    tally.answer(503, due_at=0.1, now=0.11)
    assert tally.statuses == {503: 1}
    assert not tally.latencies


def test_lost_late_and_unsent_requests_count_with_their_age():
    tally = Tally(opens_at=0.0, closes_at=10.0)
    tally.lose("reset", due_at=1.0, now=2.0)
    tally.time_out(due_at=1.0, now=6.0)
    tally.leave_unsent(due_at=7.0, now=10.0)
    assert list(tally.latencies) == [1.0, 5.0, 3.0]
    assert (tally.errors, tally.timeouts, tally.unsent) == ({"reset": 1}, 1, 1)


def test_percentiles_are_taken_over_all_samples():
    latency = Latency.of(array("d", [n / 1000 for n in range(1000, 0, -1)]))
    assert (latency.count, latency.p50, latency.p90, latency.p99, latency.max) == (1000, 501, 901, 991, 1000)


def test_no_sample_gives_zeros():
    assert Latency.of(array("d")) == Latency(0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "wrong", [{"connections": 0}, {"connections": 100_000}, {"seconds": 0}, {"rate": 0.0}, {"rate": 1e9}]
)
def test_a_load_without_bounds_is_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        Load("http://127.0.0.1/", **wrong)


@pytest.mark.parametrize(
    ("process", "kind"),
    [
        (web(Settings()), "web"),
        (scoring(1), "scoring"),
        (background(), "background"),
        (beat(), "beat"),
        (mlflow(Settings()), "mlflow"),
    ],
)
def test_every_process_of_the_launcher_is_recognised_by_its_command_line(process, kind):
    assert kind_of(" ".join(process.argv)) == kind


def test_an_unknown_process_is_of_its_parents_kind():
    assert kind_of("python -c from multiprocessing.spawn import spawn_main") is None
