"""Whatever was found by fuzzing stays found: each input of the corpus ends in a value or a declared error."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutations import mutated
from tests.fuzz.targets import CORPUS, TARGETS, Target

CORPUS_BYTES_MAX = 200_000
MEMORY_MAX = 32 << 20
"""More than any input of the corpus may need: a block of 1 MB in some forms, schemas and validators."""
MUTATIONS = 150

ENTRIES = [(target, path) for target in TARGETS for path in target.corpus()]


@pytest.mark.parametrize(("target", "path"), ENTRIES, ids=[f"{target.name}-{path.name}" for target, path in ENTRIES])
def test_an_input_of_the_corpus_ends_in_a_value_or_a_declared_error(target: Target, path: Path) -> None:
    target.run(path.read_bytes())


@pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])
def test_no_input_of_the_corpus_takes_much_memory(target: Target) -> None:
    for path in target.corpus():
        target.run(path.read_bytes())  # what is made once, such as validators, is not counted
        tracemalloc.start()
        try:
            target.run(path.read_bytes())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < MEMORY_MAX, f"{path.name} took {peak} bytes"


@pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])
def test_a_changed_input_ends_in_a_value_or_a_declared_error(target: Target) -> None:
    @settings(max_examples=MUTATIONS, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(mutated(target))
    @example(b"")
    def ends_well(data: bytes) -> None:
        target.run(data)

    ends_well()


def test_the_corpus_is_small_and_belongs_to_targets() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]

    assert {path.parent.name for path in files} == {target.name for target in TARGETS}
    assert sum(path.stat().st_size for path in files) < CORPUS_BYTES_MAX


@given(st.binary(max_size=200))
@settings(max_examples=50)
def test_anything_at_all_ends_in_a_value_or_a_declared_error(data: bytes) -> None:
    for target in TARGETS:
        target.run(data)
