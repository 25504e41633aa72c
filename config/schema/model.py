"""What a schema file says, as frozen objects. `config.schema.load` makes them; everything else reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

FieldType = Literal["number", "integer", "category", "boolean", "string", "timestamp", "id"]
Aggregate = Literal[
    "count", "sum", "mean", "std", "min", "max", "distinct", "last", "time_since_last", "ratio_to_mean",
    "zscore", "label_count", "fraud_count", "fraud_rate", "fraud_streak", "fraud_streak_age",
]  # fmt: skip
CalendarPart = Literal["hour", "day_of_week", "is_weekend", "is_night", "day_of_month", "month"]

LABEL_AGGREGATES: frozenset[str] = frozenset(
    {"label_count", "fraud_count", "fraud_rate", "fraud_streak", "fraud_streak_age"}
)
MODEL_TYPES: frozenset[str] = frozenset({"number", "integer", "category", "boolean"})

TIME_UNITS_S: dict[str, float] = {
    "ns": 1e-9, "us": 1e-6, "ms": 0.001, "s": 1.0, "seconds": 1.0, "min": 60.0, "minutes": 60.0,
    "h": 3600.0, "hours": 3600.0, "d": 86_400.0, "days": 86_400.0,
}  # fmt: skip
"""The units a schema file may give to a time: name -> seconds."""


@dataclass(frozen=True, slots=True)
class Derivation:
    """How a field that the client left out is made from others.

    Either a calendar part of the event time (`calendar`), or the time from another timestamp field to the event
    (`since`), or an aggregate over an entity's history (`entity`, `aggregate`, `of`).
    """

    calendar: CalendarPart | None = None
    entity: str | None = None
    aggregate: Aggregate | None = None
    of: str | None = None
    since: str | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """One field that a client may send.

    `required` fields must be there unless a `derived` source is; `nullable` fields may be null ("missing =
    true" in the file). `model`: the value itself is a model input (ids, strings and timestamps never are).
    `format` (timestamps): "rfc3339", "unix" (a number in `unit`, by default seconds) or a strptime pattern.
    `naive` (timestamps): what a time without an offset is, refused or UTC.
    """

    name: str
    type: FieldType
    min: float | None = None
    max: float | None = None
    max_length: int | None = None
    unit: str | None = None
    required: bool = True
    nullable: bool = False
    description: str = ""
    example: object = None
    derived: Derivation | None = None
    model: bool = True
    format: str = "rfc3339"
    naive: Literal["refuse", "utc"] = "refuse"
    line: int = 0


@dataclass(frozen=True, slots=True)
class Roles:
    """Which field plays which part. `entities` maps entity name -> field name, in file order."""

    amount: str | None = None
    event_time: str | None = None
    transaction_id: str | None = None
    label: str | None = None
    entities: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class HistoryFeature:
    """One declared feature over an entity's history.

    `window_s`: length of the window in seconds of event time; None for "all that is kept". `delay_s`: the
    window ends this long before the transaction (label aggregates: labels arrive late). `of`: the aggregated
    field (default: the amount). `default`: the value when nothing is in the window (NaN when None).
    """

    name: str
    entity: str
    aggregate: Aggregate
    window_s: float | None = None
    delay_s: float = 0.0
    of: str | None = None
    unit: str | None = None
    default: float | None = None
    description: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Schema:
    """A whole schema file. `digest` is the SHA-256 (hex) of its canonical content: comments do not count."""

    name: str
    version: int
    fields: tuple[Field, ...]
    roles: Roles
    features: tuple[HistoryFeature, ...] = ()
    unknown_fields: Literal["refuse", "ignore"] = "refuse"
    mask_history_share: float = 0.0
    description: str = ""
    digest: str = ""
    by_name: dict[str, Field] = field(default_factory=dict, compare=False, repr=False)

    def entity_field(self, entity: str) -> str:
        """The name of the field that identifies `entity`. Raises KeyError."""
        return dict(self.roles.entities)[entity]

    @property
    def model_fields(self) -> tuple[Field, ...]:
        """The fields whose values are model inputs, in file order."""
        return tuple(f for f in self.fields if f.model and f.type in MODEL_TYPES)
