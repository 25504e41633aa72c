"""Ratios, verdicts, stages and the page they end on."""

import json

import pytest

from deploy.bench.markdown import number, spread, table
from deploy.bench.plan import FULL, QUICK, SERVERS, Plan
from deploy.bench.report import BEGIN, END, as_json, as_markdown, write_report
from deploy.bench.results import Report, Run, Spread, requests_s
from deploy.bench.runner import steps_of
from deploy.bench.servers import CONTENDERS
from deploy.bench.stages import Stage, stages_between
from deploy.bench.tally import Latency, LoadResult
from deploy.bench.targets import BUSY, judge

MACHINE = {
    "cpu": "Example CPU", "cores": 2, "memory_gb": 8.0, "kernel": "Linux 6", "python": "CPython 3.11",
    "versions": {"flask": "3.1"}, "load_average_before": 0.1, "sync_ms": 0.3,
}  # fmt: skip


def result(*, connections=32, rate=None, requests_per_s=100.0, p50=10.0, p99=50.0, statuses=None, bodies="builtin"):
    """A load run of 1 s."""
    completed = int(requests_per_s)
    return LoadResult(
        url="http://127.0.0.1:1/predict",
        bodies=bodies,
        mode="open" if rate else "closed",
        connections=connections,
        rate=rate,
        seconds=1.0,
        requests_s=requests_per_s,
        completed=completed,
        statuses=statuses or {"200": completed},
        errors={},
        timeouts=0,
        unsent=0,
        latency_ms=Latency(completed, p50, p50, p99, p99, p99),
        generator_cpu_s=0.02,
        cpu={
            "seconds_by_kind": {"web": 0.3, "scoring": 0.1},
            "ms_per_request": 400 / completed,
            "memory_mb": 90.0,
        },
    )


def report_of(*runs, levels=(1, 32)):
    """A report over the given (server, repetition, result)."""
    plan = Plan(levels=levels, rates=(250,), repetitions=max(n for _, n, _ in runs))
    return Report("2026-01-01 00:00 UTC", "tollgate bench", MACHINE, "Model.", plan, [Run(*run) for run in runs])


def outcomes(report):
    return {verdict.target: verdict.outcome for verdict in judge(report)}


def test_a_ratio_compares_servers_within_one_repetition():
    report = report_of(
        ("tollgate", 1, result(requests_per_s=900)),
        ("in_process", 1, result(requests_per_s=100)),
        ("tollgate", 2, result(requests_per_s=400)),
        ("in_process", 2, result(requests_per_s=50)),
        ("tollgate", 3, result(requests_per_s=400)),
    )
    assert report.ratio("tollgate", "in_process", 32, requests_s) == [9.0, 8.0]
    assert outcomes(report)["at 32 connections at least 8 times the requests/s of the in-process shape"] == "met"


def test_a_target_that_one_repetition_misses_is_not_called_met():
    report = report_of(
        ("tollgate", 1, result(requests_per_s=900)),
        ("in_process", 1, result(requests_per_s=100)),
        ("tollgate", 2, result(requests_per_s=700)),
        ("in_process", 2, result(requests_per_s=100)),
    )
    target = "at 32 connections at least 8 times the requests/s of the in-process shape"
    assert outcomes(report)[target] == "met in 1 of 2 repetitions"


def test_missed_targets_are_said_to_be_missed():
    report = report_of(
        ("tollgate", 1, result(requests_per_s=400, p99=51)),
        ("in_process", 1, result(requests_per_s=100, p99=50)),
        ("empty", 1, result(requests_per_s=1000)),
    )
    assert outcomes(report) == {
        "at 32 connections at least 8 times the requests/s of the in-process shape": "not met",
        "at 32 connections at least 50% of the requests/s of the empty route": "not met",
        "at 32 connections p99 below the in-process shape's": "not met",
    }


def test_equal_is_enough_for_the_median_and_not_for_the_tail():
    report = report_of(("tollgate", 1, result(connections=1)), ("in_process", 1, result(connections=1)), levels=(1,))
    assert outcomes(report) == {
        "at 1 connection p99 below the in-process shape's": "not met",
        "at 1 connection p50 at most the in-process shape's": "met",
    }


def test_open_and_closed_loops_are_kept_apart():
    report = report_of(("tollgate", 1, result(connections=32)), ("tollgate", 1, result(connections=32, rate=250.0)))
    assert len(report.closed("tollgate", 32)) == len(report.open("tollgate", 250)) == 1


def test_payments_that_name_an_account_are_a_table_of_their_own():
    report = report_of(
        ("tollgate", 1, result(requests_per_s=400)),
        ("tollgate", 1, result(requests_per_s=300, bodies="history")),
    )
    assert report.closed("tollgate", 32)[1].requests_s == 400
    assert "| ids sent, history looked up | 300 | 10 | 50 | 1.33 |" in as_markdown(report)


def test_stages_are_means_of_what_happened_between_two_scrapes():
    def exposition(web_sum, web_count):
        return (
            "# HELP tollgate_stage_latency_seconds Time spent per stage.\n"
            f'tollgate_stage_latency_seconds_sum{{stage="web"}} {web_sum}\n'
            f'tollgate_stage_latency_seconds_count{{stage="web"}} {web_count}\n'
            'tollgate_stage_latency_seconds_bucket{le="0.5",stage="web"} 7.0\n'
            'tollgate_stage_latency_seconds_sum{stage="queue"} 1.0\n'
            'tollgate_stage_latency_seconds_count{stage="queue"} 5.0\n'
            'tollgate_worker_stage_latency_seconds_sum{role="scoring",stage="predict"} 2e-3\n'
            'tollgate_worker_stage_latency_seconds_count{role="scoring",stage="predict"} 2.0\n'
        )

    stages = stages_between('tollgate_other_sum{stage="web"} 9\n' + exposition(1.0, 10), exposition(1.5, 20))
    assert stages == [Stage("web: web", 50.0, 10)]
    assert stages_between("", exposition(1.0, 10))[-1] == Stage("scoring worker: predict", 1.0, 2)


def test_the_report_says_what_was_refused_lost_and_where_the_time_went():
    report = report_of(
        ("tollgate", 1, result(rate=250.0, requests_per_s=240.0, statuses={"200": 240, "503": 10})),
        ("tollgate", 1, result()),
    )
    report.stages = [Stage("predict", 0.25, 12)]
    page = as_markdown(report)
    assert "| 250/s: Tollgate | 240 | 10 | 50 | 10 | 0 |" in page
    assert "| predict | 0.25 | 12 |" in page
    assert "web 3, scoring 1" in page
    assert "Example CPU, 2 cores" in page


def test_the_page_keeps_what_people_wrote_around_the_figures(tmp_path):
    page = tmp_path / "benchmarks.md"
    page.write_text(f"# Benchmarks\n\nRead me first.\n\n{BEGIN}\nold figures\n{END}\n\nAnd last.\n")
    report = report_of(("tollgate", 1, result()))
    write_report(report, tmp_path)
    write_report(report, tmp_path)
    text = page.read_text()
    assert "old figures" not in text
    assert (text.count(BEGIN), text.count(END), text.count("Read me first."), text.count("And last.")) == (
        1,
        1,
        1,
        1,
    )
    assert text.index("Read me first.") < text.index("Example CPU") < text.index("And last.")


def test_the_json_carries_every_run_and_verdict(tmp_path):
    report = report_of(("tollgate", 1, result(requests_per_s=900)), ("in_process", 1, result()))
    document = json.loads(as_json(report))
    assert [run["server"] for run in document["runs"]] == ["tollgate", "in_process"]
    assert document["verdicts"][0]["outcome"] == "met"
    assert document["machine"]["cpu"] == "Example CPU"


@pytest.mark.parametrize("plan", [FULL, QUICK])
def test_a_plan_measures_servers_that_can_be_started_and_the_level_that_is_promised(plan):
    assert set(plan.servers) <= set(CONTENDERS) == set(SERVERS)
    assert {1, BUSY} <= set(plan.levels)


def test_the_progress_bar_counts_fixed_rates_only_for_servers_that_get_them():
    plan = Plan(servers=("tollgate", "tollgate_everysec"), levels=(1, 32), rates=(250,), repetitions=2)
    assert steps_of(plan) == 2 * (3 + 2)


def test_an_unknown_server_is_refused():
    with pytest.raises(ValueError, match="unknown server nginx"):
        Plan(servers=("nginx",))


def test_numbers_are_written_to_be_compared():
    assert [number(value) for value in (0.2146, 5.6349, 41.23, 4120.4)] == ["0.215", "5.63", "41.2", "4,120"]
    assert spread(Spread.of([3.0, 1.0, 2.0])) == "2 (1-3)"
    assert spread(Spread.of([2.0, 2.0])) == "2"
    assert table(("a", "b"), []) == ""
