"""The bulk part of the benchmark: its rows, its verdicts, the page that it ends on."""

from __future__ import annotations

import json
from pathlib import Path

from deploy.bench.bulk import BulkPlan, BulkRun, write_rows
from deploy.bench.bulk_report import BEGIN, END, bulk_markdown, bulk_verdicts, write_bulk_report
from deploy.commands.bench import bulk_plan
from tests.unit.deploy.test_bench_report import result

PLAN = BulkPlan(rows=1000, repetitions=1)


def run(*, rows_s: float = 30_000.0, beside_p99: float = 9.0, in_ledger: int = 1000) -> BulkRun:
    return BulkRun(
        repetition=1,
        plain_rows_s=[9_000.0, 10_000.0],
        rows=1000,
        rows_s=rows_s,
        upload_s=1.0,
        scoring_s=2.0,
        download_s=0.5,
        in_ledger=in_ledger,
        memory_mb={"web": 90.0, "bulk": 300.0},
        idle=result(p99=5.0),
        beside=result(p99=beside_p99),
        beside_rows_s=20_000.0,
    )


def outcomes(*runs: BulkRun) -> list[str]:
    return [verdict.outcome for verdict in bulk_verdicts(runs)]


def test_bulk_is_judged_against_the_best_round_of_the_plain_queue() -> None:
    assert outcomes(run()) == ["met", "not met", "met", "met"]
    assert outcomes(run(rows_s=9_500.0))[0] == "not met"
    assert outcomes(run(rows_s=41_000.0))[1] == "met"


def test_a_batch_that_disturbs_interactive_clients_or_loses_rows_does_not_pass() -> None:
    assert outcomes(run(beside_p99=10.5))[2] == "not met"
    assert outcomes(run(), run(in_ledger=999))[3] == "met in 1 of 2 repetitions"


def test_the_page_has_the_figures_and_the_machine() -> None:
    page = bulk_markdown(PLAN, [run()], "A machine.")

    assert "A machine." in page
    assert "30,000" in page
    assert "| bulk | 300 |" in page


def test_the_report_replaces_only_what_is_between_its_markers(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.md").write_text(f"# Benchmarks\n\nBefore.\n\n{BEGIN}\nold\n{END}\n\nAfter.\n")

    write_bulk_report(PLAN, [run()], "A machine.", tmp_path)

    text = (tmp_path / "benchmarks.md").read_text()
    assert "old" not in text
    assert text.startswith("# Benchmarks\n\nBefore.")
    assert text.endswith("After.\n")
    assert json.loads((tmp_path / "benchmarks-bulk.json").read_text())["runs"][0]["rows"] == 1000


def test_every_row_has_an_id_of_its_own(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows", 50, first=100)

    ids = [json.loads(line)["transaction_id"] for line in (tmp_path / "rows").read_text().splitlines()]
    assert ids == [f"bench-{number}" for number in range(100, 150)]


def test_a_smaller_batch_makes_the_rest_of_the_plan_smaller() -> None:
    plan = bulk_plan(rows=10_000, repetitions=1)

    assert (plan.rows, plan.rows_beside, plan.idle_s, plan.repetitions) == (10_000, 3_000, 1.0, 1)
