"""What is kept is bounded, and still says how much of everything there was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from config.schema.load import load_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from ml.features.spec import FeatureSpec
from ml.incremental.lessons import Lessons, no_lessons
from ml.incremental.memory import (
    DAY_S,
    FRAUD_SHARE,
    HALF_LIFE_S,
    KEPT_S,
    MOST_FRAUDS,
    MOST_GENUINE,
    Memory,
    draw_plan,
)

SPEC = FeatureSpec.from_schema(load_schema(DEFAULT_SCHEMA))
NOW_S = 1_800_000_000.0


def lessons(y: np.ndarray, times: np.ndarray, *, first_id: int = 0) -> Lessons:
    n = len(y)
    floats = {name: np.zeros(n) for name in ("amount", "served", "score")}
    return Lessons(
        ids=np.arange(first_id, first_id + n), X=np.zeros((n, len(SPEC.columns))),
        texts={name: np.full(n, None, dtype=object) for name in SPEC.categories}, y=y, times=times, scored_s=times,
        weight=np.ones(n), lot=np.random.default_rng(first_id).random(n), **floats,
    )  # fmt: skip


def remembered(y: np.ndarray, times: np.ndarray) -> Memory:
    return Memory(no_lessons(SPEC)).with_new(lessons(y, times), matured_s=NOW_S)


def test_thinned_genuine_lessons_stand_for_those_that_went() -> None:
    n = 3 * MOST_GENUINE
    memory = remembered(np.zeros(n), np.full(n, NOW_S))

    assert len(memory.lessons) <= MOST_GENUINE
    assert memory.share == 0.25
    assert memory.weights().sum() == pytest.approx(n, rel=0.02)


def test_a_thinned_memory_takes_new_lessons_at_the_same_share() -> None:
    memory = remembered(np.zeros(3 * MOST_GENUINE), np.full(3 * MOST_GENUINE, NOW_S))

    more = memory.with_new(lessons(np.zeros(8000), np.full(8000, NOW_S), first_id=10**6), matured_s=NOW_S)

    assert len(more.lessons) - len(memory.lessons) == pytest.approx(2000, rel=0.1)


def test_the_newest_frauds_are_kept_and_old_lessons_go() -> None:
    n = MOST_FRAUDS + 100
    memory = remembered(np.ones(n), NOW_S - np.arange(n)[::-1])
    old = memory.with_new(lessons(np.zeros(1), np.array([NOW_S]), first_id=n), matured_s=NOW_S + KEPT_S)

    assert memory.lessons.times.min() == NOW_S - MOST_FRAUDS + 1
    assert len(memory.lessons) == MOST_FRAUDS
    assert len(old.lessons) == 0


def test_a_revised_verdict_takes_the_place_of_the_old_one() -> None:
    memory = remembered(np.zeros(3), np.full(3, NOW_S))

    revised = memory.with_new(lessons(np.ones(1), np.full(1, NOW_S), first_id=1), matured_s=NOW_S)

    assert dict(zip(revised.lessons.ids.tolist(), revised.lessons.y.tolist(), strict=True)) == {0: 0, 1: 1, 2: 0}


def test_a_lesson_weighs_half_after_a_half_life_and_early_frauds_do_not_raise_the_level() -> None:
    y, age_s = np.array([0.0, 0.0, 1.0, 1.0, 1.0]), np.array([0.0, HALF_LIFE_S, 0.0, -DAY_S, -DAY_S])

    weights = remembered(y, NOW_S - age_s).weights()

    assert weights[:2].tolist() == [1.0, 0.5]
    assert weights[2:].sum() == pytest.approx(1.0)  # what the one matured fraud weighs


def test_rare_fraud_is_drawn_more_often_and_weighs_less_for_it() -> None:
    y = np.zeros(10_000)
    y[:20] = 1
    memory = remembered(y, np.full(len(y), NOW_S))
    chance, weight = draw_plan(memory)
    wanted = memory.weights() / memory.weights().sum()

    assert chance.sum() == pytest.approx(1.0)
    assert chance[:20].sum() == pytest.approx(FRAUD_SHARE, rel=0.1)
    np.testing.assert_allclose(chance * weight, wanted)


def test_common_fraud_is_drawn_as_it_comes() -> None:
    y = np.tile([0.0, 1.0], 50)
    memory = remembered(y, np.full(len(y), NOW_S))

    chance, weight = draw_plan(replace(memory))

    np.testing.assert_allclose(chance, 0.01)
    np.testing.assert_allclose(weight, 1.0)
