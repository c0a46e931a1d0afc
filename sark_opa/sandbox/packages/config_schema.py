"""The part of JSON Schema a manifest may use to say which configuration its plugin takes.

Schema and configuration may both come from a stranger and are read in the service's process. So what could
take long or reach out is left out: references, regular expressions, `unevaluated…`, `uniqueItems`. What is
left costs at most one comparison for each pair of a schema's and a configuration's values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import jsonschema
import msgspec
from referencing import Registry

ANNOTATIONS: Final = frozenset({"$schema", "title", "description", "default", "examples"})
ASSERTIONS: Final = frozenset(
    {
        *("type", "enum", "const", "required"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
    }
)
OF_ONE: Final = frozenset({"items", "additionalProperties"})
OF_LIST: Final = frozenset({"anyOf", "oneOf", "allOf"})
KEYWORDS: Final = ANNOTATIONS | ASSERTIONS | OF_ONE | OF_LIST | {"properties"}

SCHEMA_VALUES_MAX: Final = 1_000
PAIRS_MAX: Final = 100_000
"""Values of the schema times values of the configuration: about half a second."""
FAULTS_MAX: Final = 20
_SHOWN_CHARS: Final = 200

Place = tuple[str | int, ...]
_Validator = jsonschema.Draft202012Validator


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing that does not fit, and where."""

    place: Place
    message: str


def faults_of_schema(schema: Mapping[str, Any]) -> list[Mismatch]:
    """What is wrong with a schema; nothing when configurations can be held against it."""
    try:
        if json.loads(json.dumps(schema, allow_nan=False)) != schema:
            return [Mismatch((), "it has keys that are no text; JSON has no others")]
    except (TypeError, ValueError, RecursionError) as error:
        return [Mismatch((), f"JSON cannot say it: {error}")]
    if _size(schema) > SCHEMA_VALUES_MAX:
        return [Mismatch((), f"it holds more than {SCHEMA_VALUES_MAX} values")]
    unknown = list(islice(_unknown_keywords(schema, ()), FAULTS_MAX))
    return unknown or _mismatches(_Validator(_Validator.META_SCHEMA), schema)


def faults_of_config(schema: Mapping[str, Any], config: Mapping[str, Any]) -> list[Mismatch]:
    """Where a configuration is not what a schema, itself without fault, says."""
    plain = msgspec.to_builtins(config)
    if _size(schema) * _size(plain) > PAIRS_MAX:
        return [Mismatch((), "it and config_schema are too large to be held against each other")]
    return _mismatches(_Validator(schema, registry=Registry()), plain)


def _mismatches(validator: Any, value: Any) -> list[Mismatch]:
    found = islice(validator.iter_errors(value), FAULTS_MAX)
    mismatches = [Mismatch(tuple(error.absolute_path), _shortened(error.message)) for error in found]
    return sorted(mismatches, key=lambda mismatch: [str(part) for part in mismatch.place])


def _unknown_keywords(schema: Any, place: Place) -> Iterator[Mismatch]:
    if not isinstance(schema, dict):
        return  # true and false are schemas; anything else the meta-schema refuses
    for keyword, value in schema.items():
        inner = (*place, keyword)
        if keyword not in KEYWORDS:
            yield Mismatch(inner, f"this part of JSON Schema is not taken; there are {', '.join(sorted(KEYWORDS))}")
        elif keyword == "properties" and isinstance(value, dict):
            for name, below in value.items():
                yield from _unknown_keywords(below, (*inner, name))
        elif keyword in OF_ONE:
            yield from _unknown_keywords(value, inner)
        elif keyword in OF_LIST and isinstance(value, list):
            for index, below in enumerate(value):
                yield from _unknown_keywords(below, (*inner, index))


def _size(value: Any) -> int:
    if isinstance(value, Mapping):
        return 1 + sum(map(_size, value.values()))
    if isinstance(value, list):
        return 1 + sum(map(_size, value))
    return 1


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
