"""docs/metrics.md, written from the catalogue itself: `python -m config.metrics_reference > docs/metrics.md`."""

from __future__ import annotations

import sys

from config.metrics.catalogue import CATALOGUE
from config.metrics.metric import Label, Metric

HEAD = """# Metrics

Everything that `GET /prometheus` exports. Every series with fixed labels is there from the first scrape, as 0 where
nothing has happened. Labels are bounded: their values come from the code, from the workers that report and from the
schema, never from a client. This page is generated: `python -m config.metrics_reference > docs/metrics.md`.

Who exports it: `web` is counted by the web processes of one server and added up; `scoring`, `bulk` and `background` are
counted by workers, whose counts live on when they are started again: on one machine they are in the scrape of the web
side, in containers each worker is scraped itself (`TOLLGATE_WORKER_METRICS_PORT`); `shared state` and `ledger` are read
by the web process that is scraped, at most once in `TOLLGATE_METRICS_CACHE_S`. Where the broker or the ledger is down
they are 0, and `tollgate_shared_state_up` or `tollgate_ledger_up` is 0.

Alerts and recording rules: [RUNBOOK.md](RUNBOOK.md). Celery's own metrics come from the celery-exporter (`celery_*`).

| metric | kind | unit | labels | exported by | what it is |
|---|---|---|---|---|---|
"""


def reference() -> str:
    """The whole page."""
    return HEAD + "\n".join(_row(metric) for metric in CATALOGUE) + "\n"


def _row(metric: Metric) -> str:
    cells = (
        f"`{metric.name}`",
        metric.kind,
        metric.unit,
        "; ".join(_label(label) for label in metric.labels),
        ", ".join(metric.sources),
        metric.help_text,
    )
    return "| " + " | ".join(cells) + " |"


def _label(label: Label) -> str:
    return f"`{label.name}`: " + (", ".join(label.values) or f"{label.words} (at most {label.most})")


if __name__ == "__main__":
    sys.stdout.write(reference())
