"""What the bulk commands show: one bar that follows the step, then a summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from config.contracts import Action


class Bar:
    """A bar per step. A step that starts again goes back to its beginning."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._step = ""

    def show(self, step: str, done: float, total: float | None, note: str = "") -> None:
        """Move the bar of this step."""
        self._step = step
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(step, total=total, note=note)
        self._progress.update(self._tasks[step], completed=done, total=total, note=note)

    def say(self, why: str) -> None:
        """A note beside the step under way: why it waits."""
        if self._step:
            self._progress.update(self._tasks[self._step], note=why)

    def uploading(self, done: int, total: int) -> None:
        """See `View.uploading`."""
        self.show("uploading", done, total, _megabytes(done))

    def scoring(self, batch: dict[str, Any]) -> None:
        """See `View.scoring`."""
        counts, rate = batch["request_counts"], batch["rows_per_second"]
        done = counts["completed"] + counts["failed"]
        note = f"{done:,} of {counts['total']:,} rows" + (f", {rate:,.0f}/s" if rate else "")
        self.show("scoring", done, counts["total"] or None, note if counts["total"] else batch["status"])

    def downloading(self, done: int) -> None:
        """See `View.downloading`."""
        self.show("downloading", done, None, _megabytes(done))


@contextmanager
def shown(console: Console) -> Iterator[Bar]:
    """The bars, on standard error; nothing moves where that is no terminal."""
    columns = (
        TextColumn("{task.description:12}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield Bar(progress)


def score_summary(batch: dict[str, Any], actions: Counter[Action], took_s: float) -> Table:
    """What a file came to."""
    counts = batch["request_counts"]
    rate = counts["total"] / took_s if took_s > 0 else 0.0
    rows = [
        ("batch", f"{batch['id']} ({batch['status']})"),
        ("rows", f"{counts['total']:,} in {took_s:,.1f} s ({rate:,.0f}/s, from file to file)"),
        ("decided", f"{counts['completed']:,}"),
        *((action, f"{actions[action]:,}") for action in ("approve", "review", "decline")),
        ("refused", f"{counts['failed']:,}"),
    ]
    return _table(rows)


def label_summary(tally: Counter[str], took_s: float) -> Table:
    """What a file of labels came to."""
    sent = sum(tally.values())
    rows = [
        ("labels", f"{sent:,} in {took_s:,.1f} s ({sent / took_s if took_s > 0 else 0:,.0f}/s)"),
        ("kept", f"{tally['kept']:,}"),
        ("unknown", f"{tally['unknown']:,} (no decision has this id)"),
        ("refused", f"{tally['refused']:,}"),
    ]
    return _table(rows)


def _table(rows: list[tuple[str, str]]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in rows:
        table.add_row(Text(name, "dim"), value)
    return table


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"
