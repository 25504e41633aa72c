"""What a schema's features come to: which columns a model has and what is kept per entity.

Trainers, the scoring worker and replay share one `FeatureSpec`; it travels inside the model bundle.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from config.errors import SchemaInvalid
from config.schema.model import (
    LABEL_AGGREGATES,
    TIME_UNITS_S,
    Aggregate,
    CalendarPart,
    Derivation,
    Field,
    HistoryFeature,
    Schema,
)
from ml.features import calendar_parts
from ml.features.compiled import Floats, Integers
from ml.features.elapsed import Elapsed
from ml.features.history_log import hash_text, pack_event, pack_label
from ml.features.plan import Operation, compile_operations

__all__ = ["EntitySpec", "FeatureSpec", "hash_text", "pack_event", "pack_label"]

CALENDAR_PARTS: Final[dict[CalendarPart, int]] = {
    "hour": calendar_parts.HOUR,
    "day_of_week": calendar_parts.DAY_OF_WEEK,
    "is_weekend": calendar_parts.IS_WEEKEND,
    "is_night": calendar_parts.IS_NIGHT,
    "day_of_month": calendar_parts.DAY_OF_MONTH,
    "month": calendar_parts.MONTH,
}
_TEXT_AGGREGATES: Final[frozenset[Aggregate]] = frozenset({"count", "distinct"})
_TEXT_TYPES: Final = frozenset({"category", "string", "id"})
_DERIVABLE_TYPES: Final = frozenset({"number", "integer", "boolean"})


@dataclass(frozen=True, slots=True)
class EntitySpec:
    """One entity that has features: what is kept about it and how its features are computed.

    `field`: the field that identifies it, `place` that field's index in a transaction's values. `record`:
    the fields kept beside the event time, `sources` their indices in values, `hashed` whether they are kept
    as hashes. `uses_labels`: whether its label log is read at all. `windows`, `operations`: for the kernel.
    """

    name: str
    field: str
    place: int
    record: tuple[str, ...]
    sources: tuple[int, ...]
    hashed: tuple[bool, ...]
    uses_labels: bool
    windows: Floats = dataclasses.field(compare=False, repr=False)
    operations: Floats = dataclasses.field(compare=False, repr=False)

    @property
    def event_size(self) -> int:
        """Bytes of one packed event."""
        return 8 * (1 + len(self.record))

    def key(self, values: Sequence[Any]) -> str | None:
        """Which account (card, merchant ...) a transaction belongs to; None: it names none."""
        value = values[self.place]
        return None if value is None else str(value)

    def kept(self, values: Sequence[Any]) -> list[float]:
        """The values of `record`, as they are kept: missing is NaN, texts are hashes."""
        return [_kept(values[source], hashed) for source, hashed in zip(self.sources, self.hashed, strict=True)]


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """The model's columns and the entities' histories that follow from one schema.

    `columns`: model fields in file order, then history features in file order; `sources` is the index of
    each model field in a transaction's values. `categories`: the model fields that need a vocabulary.
    `calendar`: (c, 2), part and column of fields derived from the event time; `elapsed`: those that are the
    time since another field. `derived`: names of columns that are filled in when not sent. `entities`: only
    those with at least one feature or derivation, in schema order.
    """

    schema: Schema
    history_events: int
    columns: tuple[str, ...]
    sources: tuple[int, ...]
    categories: tuple[str, ...]
    derived: tuple[str, ...]
    entities: tuple[EntitySpec, ...]
    event_time_place: int | None
    calendar: Integers = dataclasses.field(compare=False, repr=False)
    elapsed: tuple[Elapsed, ...] = ()

    @classmethod
    def from_schema(cls, schema: Schema, history_events: int = 128) -> FeatureSpec:
        """Compile a schema. `history_events`: how many events and labels of an entity a transaction sees.

        Raises:
            SchemaInvalid: a feature or derivation names something that is not there, or has nothing to
            aggregate.
        """
        fields = schema.model_fields
        places = {f.name: place for place, f in enumerate(schema.fields)}
        columns = (*(f.name for f in fields), *(f.name for f in schema.features))
        if len(set(columns)) != len(columns):
            raise SchemaInvalid(f"Two columns have the same name: {_repeated(columns)}.")
        derived = tuple((f, f.derived) for f in fields if f.derived is not None)
        targets = {name: target for target, name in enumerate(columns)}
        return cls(
            schema=schema,
            history_events=history_events,
            columns=columns,
            sources=tuple(places[f.name] for f in fields),
            categories=tuple(f.name for f in fields if f.type == "category"),
            derived=tuple(f.name for f, _ in derived),
            entities=_entities(schema, derived, places=places, targets=targets),
            event_time_place=places[schema.roles.event_time] if schema.roles.event_time else None,
            calendar=_calendar(derived, targets),
            elapsed=_elapsed(derived, places=places, targets=targets),
        )

    @property
    def history(self) -> tuple[str, ...]:
        """The names of the history features: the last columns."""
        return self.columns[len(self.sources) :]

    def event_time(self, values: Sequence[Any], received_s: float) -> float:
        """When a transaction happened, Unix seconds: what the client sent, else when it was received."""
        sent = None if self.event_time_place is None else values[self.event_time_place]
        return received_s if sent is None else float(sent)

    def record(self, entity: EntitySpec, values: Sequence[Any], event_time_s: float) -> bytes:
        """The event that a transaction appends to an entity's log, packed."""
        return pack_event(event_time_s, entity.kept(values))


def _kept(value: object, hashed: bool) -> float:
    if value is None:
        return float("nan")
    return hash_text(str(value)) if hashed else float(value)  # type: ignore[arg-type]


def _repeated(names: Sequence[str]) -> str:
    return ", ".join(sorted({name for name in names if names.count(name) > 1}))


def _calendar(derived: Sequence[tuple[Field, Derivation]], targets: dict[str, int]) -> Integers:
    """Part and column of every field derived from the event time, (c, 2)."""
    for owner, _ in derived:
        if owner.type not in _DERIVABLE_TYPES:
            raise SchemaInvalid(
                f"line {owner.line}: {owner.name} is a {owner.type}; "
                "only numbers, integers and booleans can be derived."
            )
    parts = [
        (CALENDAR_PARTS[source.calendar], targets[owner.name])
        for owner, source in derived
        if source.calendar is not None
    ]
    return np.array(parts, np.int64).reshape(-1, 2)


def _elapsed(
    derived: Sequence[tuple[Field, Derivation]], *, places: dict[str, int], targets: dict[str, int]
) -> tuple[Elapsed, ...]:
    """Every field derived as the time since another one; in days unless its unit says otherwise."""
    return tuple(
        Elapsed(source.since, places[source.since], targets[owner.name], TIME_UNITS_S[owner.unit or "d"])
        for owner, source in derived
        if source.since is not None
    )


def _entities(
    schema: Schema,
    derived: Sequence[tuple[Field, Derivation]],
    *,
    places: dict[str, int],
    targets: dict[str, int],
) -> tuple[EntitySpec, ...]:
    """The entities that have something to compute, in schema order."""
    wanted = [
        *schema.features,
        *(_as_feature(f, source) for f, source in derived if source.entity is not None),
    ]
    known = dict(schema.roles.entities)
    for feature in wanted:
        if feature.entity not in known:
            raise SchemaInvalid(f"line {feature.line}: {feature.name} is about {feature.entity!r}, which is no entity.")
    sent = frozenset(f.name for f, _ in derived)
    grouped = {name: [f for f in wanted if f.entity == name] for name in known}
    return tuple(
        _entity(schema, name, features, places=places, targets=targets, sent=sent)
        for name, features in grouped.items()
        if features
    )


def _as_feature(owner: Field, source: Derivation) -> HistoryFeature:
    """A derived field as a feature over all that is kept."""
    if source.aggregate is None or source.entity is None:
        raise SchemaInvalid(f"line {owner.line}: {owner.name} is derived from {source.entity!r} without an aggregate.")
    return HistoryFeature(owner.name, source.entity, source.aggregate, of=source.of, line=owner.line)


def _entity(
    schema: Schema,
    name: str,
    features: Sequence[HistoryFeature],
    *,
    places: dict[str, int],
    targets: dict[str, int],
    sent: frozenset[str],
) -> EntitySpec:
    aggregated = [_aggregated(schema, feature) for feature in features]
    record = tuple(dict.fromkeys(of for of in aggregated if of is not None))
    operations = [
        Operation(
            aggregate=feature.aggregate,
            window_s=feature.window_s,
            delay_s=feature.delay_s,
            column=0 if of is None else 1 + record.index(of),
            default=feature.default,
            target=targets[feature.name],
            keeps_sent=feature.name in sent,
        )
        for feature, of in zip(features, aggregated, strict=True)
    ]
    windows, rows = compile_operations(operations)
    identity = schema.entity_field(name)
    return EntitySpec(
        name=name,
        field=identity,
        place=places[identity],
        record=record,
        sources=tuple(places[of] for of in record),
        hashed=tuple(schema.fields[places[of]].type in _TEXT_TYPES for of in record),
        uses_labels=any(feature.aggregate in LABEL_AGGREGATES for feature in features),
        windows=windows,
        operations=rows,
    )


def _aggregated(schema: Schema, feature: HistoryFeature) -> str | None:
    """The field whose values a feature aggregates: `of`, else the amount; None when it looks at no value."""
    if feature.aggregate in LABEL_AGGREGATES or feature.aggregate == "time_since_last":
        return None
    if feature.aggregate == "count" and feature.of is None:
        return None
    of = feature.of or schema.roles.amount
    found = next((f for f in schema.fields if f.name == of), None)
    if found is None:
        raise SchemaInvalid(
            f"line {feature.line}: {feature.name} needs a field to aggregate: `of`, or the amount role (got {of!r})."
        )
    if found.type in _TEXT_TYPES and feature.aggregate not in _TEXT_AGGREGATES:
        raise SchemaInvalid(
            f"line {feature.line}: {feature.name} is the {feature.aggregate} of {of}, which is text: "
            "only count and distinct can be."
        )
    return found.name
