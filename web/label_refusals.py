"""Why a label was not kept: sent alone, it is raised; of a file, it is what became of the row."""

from __future__ import annotations

from config.errors import LabelConflict, UnknownId
from web.ports.labels import Label


def unknown_target(label: Label) -> UnknownId:
    """Nothing is known by the id that this label gives."""
    return UnknownId(f"no decision is known by the id {label.decision_id or label.transaction_id!r}")


def label_conflict(label_id: str) -> LabelConflict:
    """The id is taken by a label that says something else."""
    return LabelConflict(f"label_id {label_id!r} was sent before and said something else")
