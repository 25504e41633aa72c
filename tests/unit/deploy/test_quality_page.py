"""The page of model quality: its tables, its markers, and what an earlier run left."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.commands import quality_report
from deploy.quality.over_http import HttpFigures
from deploy.quality.page import BEGIN, END, as_markdown, write_page
from deploy.quality.results import PARTS, Results, Run, read_results, write_results
from ml.measured.figures import Figures
from ml.measured.loop import GATED, NEWEST, STATIC, Week
from ml.measured.published import Folds, Protocol
from ml.measured.sparkov import SparkovFigures
from ml.measured.streams import Replayed

WEEK_S = 7 * 86_400.0
RUN = Run("2026-03-01 09:30 UTC", "tollgate quality-report", "a machine.", 90.0)


def week(number: int, gate: str, gain: float | None) -> Week:
    return Week(1.5e9 + number * WEEK_S, 1000, 60, gate, gain, {STATIC: 0.5, NEWEST: 0.7, GATED: 0.6})


@pytest.fixture
def results() -> Results:
    figures = Figures(0.88, 0.7456, 0.31)
    folds = Folds(7, "small trees", [figures, Figures(0.9, 0.7, 0.3)])
    loop = [week(0, "first model", None), week(1, "keep_shadowing", -0.001), week(2, "promote", 0.2)]
    return Results(
        runs=dict.fromkeys(PARTS, RUN),
        protocol=Protocol([folds], folds),
        sparkov=SparkovFigures(30, "large trees", 1000, 50, 0.9998, 0.98),
        http=HttpFigures(figures, figures, 1000, 900, 100, 2e-16),
        stationary=Replayed(loop),
        drift=Replayed(loop, 1.5e9 + WEEK_S, 1),
    )


def test_there_is_a_table_for_each_part(results: Results) -> None:
    tables = as_markdown(results)

    assert "| **Tollgate, 7 days of training** (small trees) | .890 .723 .305 | .880 .746 .310 |" in tables
    assert "| 30 columns, large trees | 0.9998 | 0.980 |" in tables
    assert "2.0e-16" in tables
    assert "The gate promoted 1 of 2 challengers. What it was before was back 1 weeks after" in tables


def test_what_stands_around_the_markers_stays(results: Results, tmp_path: Path) -> None:
    (tmp_path / "model-quality.md").write_text(f"# Title\n\nBefore.\n\n{BEGIN}\nformer\n{END}\n\nAfter.\n")

    write_page(Results(runs=results.runs, http=results.http), tmp_path)

    page = (tmp_path / "model-quality.md").read_text()
    assert page.startswith("# Title\n\nBefore.")
    assert page.endswith("After.\n")
    assert "former" not in page


def test_a_loop_is_drawn_as_a_picture(results: Results, tmp_path: Path) -> None:
    write_page(Results(runs=results.runs, drift=results.drift), tmp_path)

    assert (tmp_path / "pictures" / "loop-drift.png").read_bytes().startswith(b"\x89PNG")


def test_what_was_measured_is_read_back_as_it_was(results: Results, tmp_path: Path) -> None:
    write_results(results, tmp_path)

    assert read_results(tmp_path) == results


def test_before_the_first_run_nothing_was_measured(tmp_path: Path) -> None:
    assert read_results(tmp_path / "nowhere") == Results()


def test_the_command_offers_every_part() -> None:
    assert quality_report.PARTS == PARTS
