"""The packed entries of the bulk journal: one stream entry holds the new decisions of a whole chunk.

`lua/commit_chunk.lua` writes them, `workers.journal` reads them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

HEAD = struct.Struct("<IIId")
FIELD = b"p"


def unpack_rows(packed: bytes) -> Iterator[dict[bytes, bytes]]:
    """The rows of a packed entry, each with the fields that an entry of the interactive journal has."""
    position = 0
    while position < len(packed):
        decision, record, features, sequence = HEAD.unpack_from(packed, position)
        position += HEAD.size
        parts = []
        for length in (decision, record, features):
            parts.append(packed[position : position + length])
            position += length
        yield {b"d": parts[0], b"r": parts[1], b"x": parts[2], b"s": b"%d" % sequence}
