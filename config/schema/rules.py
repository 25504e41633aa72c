"""What must hold between the parts of a schema: roles, derivations, features and bounds that fit together."""

from __future__ import annotations

import re

from config.schema.checks import Refused, compile_check, is_clean_text
from config.schema.lines import Path
from config.schema.model import LABEL_AGGREGATES, MODEL_TYPES, TIME_UNITS_S, Derivation, Field, HistoryFeature
from config.schema.problems import Problems, did_you_mean
from config.schema.read import Draft, UnreadFeature
from config.schema.tables import show
from config.schema.times import can_be_read_back

_ROLE_TYPES = {
    "amount": ("number", "integer"), "event_time": ("timestamp",), "transaction_id": ("id",),
    "entities": ("id", "category"),
}  # fmt: skip
_TAKES_NO_OF = frozenset({"count", "time_since_last"}) | LABEL_AGGREGATES
_ENTITY_NAME = re.compile(r"[a-z][a-z0-9_]*")
_INTEGER_LIMIT = 2.0**63
_NUMBERS = ("number", "integer")
_TEXTS = ("category", "string", "id")
_CALENDAR_TYPES = ("number", "integer", "boolean")


def check_rules(draft: Draft, problems: Problems) -> None:
    """Note everything that is wrong between the parts of `draft`."""
    _Rules(draft, problems).check()


class _Rules:
    def __init__(self, draft: Draft, problems: Problems) -> None:
        self._schema = draft.schema
        self._declared = draft.declared
        self._unread = draft.unread
        self._problems = problems
        self._entities = dict(draft.schema.roles.entities)

    def check(self) -> None:
        self._check_top()
        self._check_roles()
        for field in self._schema.fields:
            self._check_field(field)
        for feature in self._schema.features:
            self._check_feature(feature)
        for unread in self._unread:
            self._check_unread(unread)
        is_whole = len(self._declared) == len(self._schema.fields) > 0
        if is_whole and not (self._schema.model_fields or self._schema.features):
            self._add(("fields",), "no_model_input", "no field or feature is a model input: nothing to score on")

    def _add(self, path: Path, code: str, message: str) -> None:
        self._problems.add(path, code, message)

    def _check_top(self) -> None:
        schema = self._schema
        if len(schema.name) > 64 or not is_clean_text(schema.name):
            self._add(("name",), "bad_name", '"name" is at most 64 characters, none of them a control character')
        if schema.version < 1:
            self._add(("version",), "out_of_bounds", '"version" must be at least 1')
        if not 0 <= schema.mask_history_share < 1:
            self._add(("mask_history_share",), "out_of_bounds", '"mask_history_share" must be in [0, 1)')

    def _check_roles(self) -> None:
        roles = self._schema.roles
        for role in ("amount", "event_time", "transaction_id"):
            if name := getattr(roles, role):
                self._check_role(("roles", role), role, name)
        for entity, name in roles.entities:
            path = ("roles", "entities", entity)
            if not _ENTITY_NAME.fullmatch(entity):
                self._add(path, "bad_name", f'entity "{entity}" must be lower-case letters, digits and _')
            self._check_role(path, "entities", name)
        if roles.label in self._declared:
            message = f'the label "{roles.label}" is also a field: clients do not send the label (remove the field)'
            self._add(("roles", "label"), "label_is_field", message)

    def _check_role(self, path: Path, role: str, name: str) -> None:
        if name not in self._declared:
            self._add_unknown_field(name, path)
            return
        field = self._schema.by_name.get(name)
        if field and field.type not in _ROLE_TYPES[role]:
            types = " or ".join(_ROLE_TYPES[role])
            self._add(path, "wrong_type", f'field "{name}" must be of type {types} here, not {field.type}')

    def _check_field(self, field: Field) -> None:
        path: Path = ("fields", field.name)
        before = len(self._problems)
        self._check_name(field.name, path)
        if field.model and field.type not in MODEL_TYPES:
            self._add((*path, "model"), "not_allowed", f"{field.type} fields are never model inputs")
        self._check_bounds(field, path)
        self._check_text(field, path)
        self._check_time(field, path)
        if field.derived:
            self._check_derivation(field, field.derived, path)
        if field.example is not None and len(self._problems) == before:
            self._check_example(field, path)

    def _check_name(self, name: str, path: Path) -> None:
        if not 1 <= len(name) <= 256 or not is_clean_text(name):
            self._add(path, "bad_name", "a name is 1 to 256 characters, none of them a control character")

    def _check_bounds(self, field: Field, path: Path) -> None:
        for key, bound in (("min", field.min), ("max", field.max)):
            if bound is None:
                continue
            if field.type not in _NUMBERS:
                self._add((*path, key), "not_allowed", f'"{key}" is for numbers and integers, not {field.type}')
            elif field.type == "integer" and abs(bound) > _INTEGER_LIMIT:
                self._add((*path, key), "out_of_bounds", f'"{key}" of an integer must fit in 64 bits')

    def _check_text(self, field: Field, path: Path) -> None:
        if field.max_length is None:
            return
        if field.type not in _TEXTS:
            self._add((*path, "max_length"), "not_allowed", f'"max_length" is for texts, not {field.type}')
        elif not 1 <= field.max_length <= 65_536:
            self._add((*path, "max_length"), "out_of_bounds", '"max_length" must be in 1..65536')

    def _check_time(self, field: Field, path: Path) -> None:
        if field.type != "timestamp":
            if field.format != "rfc3339" or field.naive != "refuse":
                key = "format" if field.format != "rfc3339" else "naive"
                self._add((*path, key), "not_allowed", f'"{key}" is for timestamps, not {field.type}')
            return
        if field.format not in ("rfc3339", "unix") and "%" not in field.format:
            known = '"rfc3339", "unix" or a pattern such as "%d/%m/%Y %H:%M"'
            self._add((*path, "format"), "unknown_value", f'"format" is {known}, not {show(field.format)}')
        elif "%" in field.format and not can_be_read_back(field.format):
            message = (
                f"a time written as {show(field.format)} cannot be read back: the pattern must be one of strptime, "
            )
            self._add((*path, "format"), "unknown_value", message + "with the year")
        if field.format == "unix" and field.unit is not None and field.unit not in TIME_UNITS_S:
            known = ", ".join(TIME_UNITS_S)
            self._add((*path, "unit"), "unknown_value", f'"{field.unit}" is not a unit of time (one of {known})')

    def _check_derivation(self, field: Field, derived: Derivation, field_path: Path) -> None:
        path = (*field_path, "derived")
        ways = (derived.calendar, derived.since, derived.entity and derived.aggregate)
        if sum(map(bool, ways)) != 1:
            known = '{ calendar = "..." }, { since = "..." } or { entity = "...", aggregate = "..." }'
            self._add(path, "bad_derivation", f"a derivation is one of {known}")
        elif derived.calendar:
            self._check_calendar(field, derived, path)
        elif derived.since:
            self._check_since(field, derived.since, path)
        elif derived.entity and derived.aggregate:
            if field.type not in _NUMBERS:
                self._add(path, "wrong_type", f"a field made from history must be a number, not {field.type}")
            if derived.aggregate in LABEL_AGGREGATES:
                self._add(path, "not_allowed", f"{derived.aggregate} is for features: clients do not know labels")
            self._check_entity(derived.entity, path)
            self._check_of(derived.aggregate, derived.of, path)
            self._check_unit(derived.aggregate, field.unit, field_path)

    def _check_calendar(self, field: Field, derived: Derivation, path: Path) -> None:
        if derived.entity or derived.aggregate or derived.of:
            self._add(path, "bad_derivation", '"calendar" goes with no other key')
        if field.type not in _CALENDAR_TYPES:
            self._add(path, "wrong_type", f"a calendar part is a number, integer or boolean, not {field.type}")
        if self._schema.roles.event_time is None:
            self._add(path, "missing_role", "calendar parts need roles.event_time")

    def _check_since(self, field: Field, since: str, path: Path) -> None:
        if field.type != "number":
            self._add(path, "wrong_type", f"the time since a moment is a number, not {field.type}")
        if field.unit is not None and field.unit not in TIME_UNITS_S:
            known = ", ".join(TIME_UNITS_S)
            self._add((*path[:2], "unit"), "unknown_value", f'"{field.unit}" is not a unit of time (one of {known})')
        if self._schema.roles.event_time is None:
            self._add(path, "missing_role", "the time since a moment needs roles.event_time")
        if since not in self._declared:
            self._add_unknown_field(since, (*path, "since"))
        elif (source := self._schema.by_name.get(since)) and source.type != "timestamp":
            self._add((*path, "since"), "wrong_type", f'"{since}" must be a timestamp, not {source.type}')
        elif since == self._schema.roles.event_time:
            self._add((*path, "since"), "not_allowed", "from the event time to itself is always 0")

    def _check_feature(self, feature: HistoryFeature) -> None:
        path = ("features", feature.name)
        if feature.name in self._declared:
            self._add(path, "duplicate_name", f'"{feature.name}" is already the name of a field')
        self._check_name(feature.name, path)
        if feature.window_s == 0:
            self._add((*path, "window"), "out_of_bounds", '"window" must be longer than nothing')
        self._check_entity(feature.entity, path)
        self._check_of(feature.aggregate, feature.of, path)
        if feature.aggregate in LABEL_AGGREGATES and self._schema.roles.label is None:
            self._add((*path, "aggregate"), "missing_role", f"{feature.aggregate} needs roles.label")
        self._check_unit(feature.aggregate, feature.unit, path)

    def _check_unread(self, unread: UnreadFeature) -> None:
        """The names in a feature whose aggregate is not known: they can be wrong as well."""
        path = ("features", unread.name)
        if unread.entity is not None:
            self._check_entity(unread.entity, path)
        if unread.of is not None and unread.of not in self._declared:
            self._add_unknown_field(unread.of, (*path, "of"))

    def _add_unknown_field(self, name: str, path: Path) -> None:
        self._add(path, "unknown_field", f'no field is called "{name}"{did_you_mean(name, self._declared)}')

    def _check_entity(self, entity: str, path: Path) -> None:
        if entity not in self._entities:
            hint = did_you_mean(entity, self._entities) or "; declare it under [roles.entities]"
            self._add((*path, "entity"), "unknown_entity", f'no entity is called "{entity}"{hint}')

    def _check_unit(self, aggregate: str, unit: str | None, path: Path) -> None:
        if aggregate == "time_since_last" and unit not in (None, "h", "hours"):
            self._add((*path, "unit"), "unknown_value", f'time_since_last is in hours, not "{unit}"')

    def _check_of(self, aggregate: str, of: str | None, path: Path) -> None:
        at = (*path, "of")
        if aggregate in _TAKES_NO_OF:
            if of is not None:
                self._add(at, "not_allowed", f'{aggregate} is about transactions, not a field: remove "of"')
            return
        name = of if aggregate == "distinct" else of or self._schema.roles.amount
        if name is None:
            self._add(at, "missing_key", f'{aggregate} needs "of": the field to aggregate')
        elif name not in self._declared:
            if of is not None:
                self._add_unknown_field(of, at)
        elif field := self._schema.by_name.get(name):
            self._check_aggregated(aggregate, field, at)

    def _check_aggregated(self, aggregate: str, field: Field, path: Path) -> None:
        if field.derived:
            message = f'"{field.name}" is derived itself: aggregate a field that clients send'
            self._add(path, "not_allowed", message)
        if aggregate != "distinct" and field.type not in (*_NUMBERS, "boolean"):
            self._add(path, "wrong_type", f'{aggregate} needs a number; "{field.name}" is of type {field.type}')

    def _check_example(self, field: Field, path: Path) -> None:
        try:
            compile_check(field)(field.example)
        except Refused as refused:
            self._add((*path, "example"), "bad_example", f"the example does not fit the field: {refused.message}")
