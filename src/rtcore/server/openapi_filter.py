"""The JSON Schema of a filter, as `hub.filters` reads it."""

from __future__ import annotations

from typing import Final

from rtcore.values.channels import CHANNEL_NAME_LENGTH
from rtcore.values.events import Json
from rtcore.values.limits import Limits

__all__ = ["filter_schema"]

Schema = dict[str, Json]

_BOUNDS: Final = ("gt", "gte", "lt", "lte")
_NAME_LENGTH: Final = 255
_NAME_PATTERN: Final = r"^\.?[^.]+(\.[^.]+){0,15}$"


def filter_schema(limits: Limits) -> Schema:
    """Conditions by field, all of which must hold."""
    text: Schema = {"type": "string", "maxLength": limits.filter_text_length}
    scalar: Schema = {"anyOf": [text, {"type": ["number", "boolean", "null"]}]}
    event_type = _pattern(limits.type_length, limits)
    channel = _pattern(CHANNEL_NAME_LENGTH, limits)
    return {
        "type": "object",
        "description": f"At most {limits.filter_patterns} patterns with a `*` in all.",
        "maxProperties": limits.filter_fields,
        "propertyNames": {"minLength": 1, "maxLength": _NAME_LENGTH, "pattern": _NAME_PATTERN},
        "properties": {
            "type": {"anyOf": _sets(event_type, limits)},
            "event_type": {"anyOf": _sets(event_type, limits), "description": "The same as `type`."},
            "channel": {"anyOf": _sets(channel, limits)},
        },
        "additionalProperties": {"anyOf": [*_sets(scalar, limits), _range({"type": "number"}), _range(text)]},
    }


def _pattern(maximum_length: int, limits: Limits) -> Schema:
    """A value, or a pattern; what a schema cannot say is said in words."""
    return {
        "type": "string",
        "maxLength": maximum_length,
        "description": "`*`: any run of characters. Patterns of one field that have text between two stars may have "
        f"{limits.filter_search_length} characters together.",
    }


def _sets(value: Schema, limits: Limits) -> list[Json]:
    values: Schema = {"type": "array", "items": value, "minItems": 1, "maxItems": limits.filter_values}
    return [
        value,
        values,
        {"type": "object", "properties": {"eq": value}, "required": ["eq"], "additionalProperties": False},
        {"type": "object", "properties": {"in": values}, "required": ["in"], "additionalProperties": False},
    ]


def _range(value: Schema) -> Schema:
    return {
        "type": "object",
        "properties": dict.fromkeys(_BOUNDS, value),
        "minProperties": 1,
        "additionalProperties": False,
        "allOf": [{"not": {"required": ["gt", "gte"]}}, {"not": {"required": ["lt", "lte"]}}],
    }
