"""A disk without room, by name: whoever writes blobs into a directory may meet it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from config.errors import StorageFull

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def full_disk_named() -> Iterator[None]:
    """Raises StorageFull for what the operating system raises inside when there is no room."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull("the disk is full; nothing was kept") from error
        raise
