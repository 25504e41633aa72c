"""Inputs made from the corpus: cut, spliced, with bytes changed and words put in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hypothesis import strategies as st

from tests.fuzz.targets import BYTES_MAX, Target

CHANGES_MAX: Final = 4
_BYTES: Final = (b"\x00", b"\x7f", b"\x80", b"\xff", b"0", b"9", b"-", b" ", b"\n", b"\xc3")


def mutated(target: Target) -> st.SearchStrategy[bytes]:
    """An entry of the target's corpus, changed up to four times."""
    seeds = [path.read_bytes() for path in target.corpus()]
    # Large entries are replayed; what is changed is small, so that many fit into a second.
    small = [seed for seed in seeds if len(seed) <= 4096]
    changes = st.lists(_change((*target.words, *_BYTES), small), min_size=1, max_size=CHANGES_MAX)
    return st.builds(_changed, st.sampled_from(small), changes)


_Change = tuple[int, int, bytes]


def _change(words: Sequence[bytes], seeds: Sequence[bytes]) -> st.SearchStrategy[_Change]:
    """Where, how many bytes go, what comes in their place: a word, a piece of another entry, or nothing."""
    piece = st.builds(
        lambda seed, start, length: seed[start : start + length], st.sampled_from(seeds), _place(), _length()
    )
    put = st.one_of(st.sampled_from(list(words)), piece, st.just(b""), st.binary(max_size=4))
    return st.tuples(_place(), _length(), put)


def _place() -> st.SearchStrategy[int]:
    return st.integers(0, 4096)


def _length() -> st.SearchStrategy[int]:
    return st.integers(0, 64)


def _changed(seed: bytes, changes: Sequence[_Change]) -> bytes:
    for place, length, put in changes:
        start = place % (len(seed) + 1)
        seed = seed[:start] + put + seed[start + length :]
    return seed[:BYTES_MAX]
