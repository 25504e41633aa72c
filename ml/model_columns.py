"""What reasons say about each column of X: its name, unit, usual value and category names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ml.features.compiled import Floats
from ml.features.spec import FeatureSpec


@dataclass(frozen=True, slots=True)
class ModelColumn:
    """One column of X. `values`: code -> text for categories and booleans; `typical`: training median, or
    NaN.
    """

    name: str
    unit: str | None
    typical: float
    values: dict[int, str] | None = None

    @property
    def label(self) -> str:
        """The name as a person would say it."""
        return self.name.replace("_", " ")


def describe_columns(
    spec: FeatureSpec, vocabularies: Mapping[str, Mapping[str, int]], typical: Floats
) -> tuple[ModelColumn, ...]:
    """One `ModelColumn` per column of X. `typical`: (p,) float64.

    Raises:
        ValueError: `typical` is about another number of columns.
    """
    if len(typical) != len(spec.columns):
        raise ValueError(f"typical values for {len(typical)} columns, the schema has {len(spec.columns)}")
    values = {name: {code: text for text, code in vocabulary.items()} for name, vocabulary in vocabularies.items()}
    for field in spec.schema.model_fields:
        if field.type == "boolean":
            values[field.name] = {0: "false", 1: "true"}
    units = {f.name: f.unit for f in spec.schema.fields} | {f.name: f.unit for f in spec.schema.features}
    return tuple(
        ModelColumn(name, units.get(name), float(usual), values.get(name))
        for name, usual in zip(spec.columns, typical, strict=True)
    )
