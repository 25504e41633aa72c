"""The demo's status line and its summary, for people."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from deploy.traffic.tally import Tally


def status_line(tally: Tally, waiting: int, elapsed_s: float) -> Text:
    """One line: what was sent, what came back, how fast."""
    line = Text.assemble(
        (f"{elapsed_s:5.0f} s  ", "dim"),
        f"sent {tally.sent:,}  ",
        (f"approved {tally.action_count('approve'):,}  ", "green"),
        (f"review {tally.action_count('review'):,}  ", "yellow"),
        (f"declined {tally.action_count('decline'):,}  ", "red"),
        f"p50 {_ms(tally.latency_ms(0.5))}  p99 {_ms(tally.latency_ms(0.99))}  ",
        f"labels {tally.labels:,} (+{waiting:,})",
    )
    if tally.retried:
        line.append(f"  retried {tally.retried:,}", "yellow")
    if tally.refused:
        told = ", ".join(f"{count} x {status}" for status, count in sorted(tally.refused.items()))
        line.append(f"  refused {told}", "bold red")
    if tally.unreachable:
        line.append(f"  no answer {tally.unreachable:,}", "bold red")
    return line


def summary(tally: Tally, waiting: int, elapsed_s: float) -> Table:
    """What the run came to."""
    table = Table(title="Summary", title_justify="left", show_header=False, box=None, pad_edge=False)
    rate = tally.sent / elapsed_s if elapsed_s > 0 else 0.0
    rows = [
        ("sent", f"{tally.sent:,} payments in {elapsed_s:,.0f} s ({rate:,.1f}/s)"),
        ("files", f"{tally.uploads:,} uploaded to /batches"),
        ("decided", f"{tally.decided:,}"),
        *((action, f"{tally.action_count(action):,}") for action in ("approve", "review", "decline")),
        ("fraud stopped", f"{_share(tally.stopped_share(is_fraud=True))} (reviewed or declined)"),
        ("honest stopped", _share(tally.stopped_share(is_fraud=False))),
        ("answered later", f"{tally.polled:,} of {tally.accepted:,} that were accepted with 202"),
        ("latency", f"p50 {_ms(tally.latency_ms(0.5))}, p99 {_ms(tally.latency_ms(0.99))}"),
        ("labels", f"{tally.labels:,} sent, {waiting:,} were still to come"),
        (
            "not answered",
            f"{tally.unreachable:,}; refused {sum(tally.refused.values()):,}; sent again after a 503 {tally.retried:,}",
        ),
    ]
    for name, value in rows:
        table.add_row(Text(name, "dim"), value)
    return table


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
