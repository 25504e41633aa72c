"""The catalogue of metrics: its page, its words, and that it says what the code does."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram

from config.metrics import web, workers
from config.metrics.build import observe_all, with_zeroes
from config.metrics.catalogue import CATALOGUE
from config.metrics_reference import reference
from web.metrics import LateOutcome

REPOSITORY = Path(__file__).resolve().parents[3]
UNITS = {"_seconds": "seconds", "_bytes": "bytes"}


def test_the_metrics_page_is_the_catalogue() -> None:
    assert (REPOSITORY / "docs" / "metrics.md").read_text("utf-8") == reference()


def test_names_are_unique_and_say_kind_and_unit() -> None:
    assert len({metric.name for metric in CATALOGUE}) == len(CATALOGUE)
    for metric in CATALOGUE:
        assert metric.name.startswith("tollgate_")
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        assert (metric.kind == "histogram") == bool(metric.buckets)
        for ending, unit in UNITS.items():
            assert (metric.unit == unit) == metric.name.endswith(ending), metric.name


def test_every_label_is_bounded_and_what_is_open_is_said_in_words() -> None:
    for metric in CATALOGUE:
        for label in metric.labels:
            assert label.values or (label.most and label.words), f"{metric.name}: {label.name}"


def test_the_catalogue_spells_what_the_code_knows() -> None:
    assert web.LATE.labels[0].values == get_args(LateOutcome)


@pytest.mark.parametrize("values", [[], [0.0, 0.001, 0.0011, 0.5, 0.5, 0.99, 1.0]])
def test_observing_all_at_once_is_observing_each(values: list[float]) -> None:
    def made(registry: CollectorRegistry) -> Histogram:
        return Histogram("score", "Scores.", registry=registry, buckets=workers.SCORE.buckets)

    one, all_at_once = CollectorRegistry(), CollectorRegistry()
    each = made(one)
    for value in values:
        each.observe(value)
    observe_all(made(all_at_once), values)

    def found(registry: CollectorRegistry) -> dict[str, float]:
        samples = [sample for family in registry.collect() for sample in family.samples]
        return {f"{s.name}{s.labels}": s.value for s in samples if not s.name.endswith("_created")}

    assert found(all_at_once) == pytest.approx(found(one))


def test_what_nobody_counted_yet_is_zero_and_what_was_counted_stays() -> None:
    registry = CollectorRegistry()
    Counter(workers.DECISIONS.name, "Decisions.", ["action"], registry=registry).labels("review").inc(3)

    families = {family.name: family for family in with_zeroes(registry.collect(), workers.METRICS)}

    decisions = {
        s.labels["action"]: s.value for s in families["tollgate_decisions"].samples if s.name.endswith("_total")
    }
    assert decisions == {"approve": 0, "review": 3, "decline": 0}
    buckets = [s for s in families["tollgate_score"].samples if s.name == "tollgate_score_bucket"]
    assert [s.value for s in buckets] == [0.0] * (len(workers.SCORE.buckets) + 1)
    assert buckets[-1].labels == {"le": "+Inf"}
