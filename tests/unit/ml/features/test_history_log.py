"""The bytes of the logs: fixed width, little-endian, the same in every process."""

from __future__ import annotations

import struct

from ml.features.history_log import hash_text, pack_event, pack_label


def test_event_is_its_time_and_values_as_little_endian_doubles() -> None:
    assert pack_event(1.5, [2.0, 3.0]) == struct.pack("<3d", 1.5, 2.0, 3.0)


def test_label_is_four_little_endian_doubles() -> None:
    assert pack_label(1.0, 2.0, True) == struct.pack("<4d", 1.0, 2.0, 1.0, 1.0)
    assert pack_label(1.0, 2.0, False, -1) == struct.pack("<4d", 1.0, 2.0, 0.0, -1.0)


def test_hash_of_a_text_never_changes() -> None:
    assert hash_text("merchant-1") == 7623828271316292.0


def test_hashes_are_exact_as_floats_and_differ() -> None:
    hashes = {hash_text(f"merchant-{i}") for i in range(5000)}
    assert len(hashes) == 5000
    assert all(0 <= number < 2**53 and number.is_integer() for number in hashes)
