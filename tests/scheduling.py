"""Which tests share a process of `pytest -n`, and the order in which processes get them."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

TOGETHER = ("tests/e2e/", "tests/faults/")


class SharedStacks(LoadFileScheduling):
    """A file stays in one process, and so does a directory whose files share one running system.

    Marks of xdist's own (`--dist loadgroup`) would do that too, but stand in every node id of the summary.
    """

    def _split_scope(self, nodeid: str) -> str:
        return next((place for place in TOGETHER if nodeid.startswith(place)), super()._split_scope(nodeid))
