"""The part of JSON Schema that is taken: what it says, and that nothing in it can reach out or take long."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sark_opa.sandbox.packages.config_schema import KEYWORDS, faults_of_config, faults_of_schema

REFUSED: dict[str, Any] = {
    "reference": {"$ref": "http://127.0.0.1:9/schema.json"},
    "own reference": {"$ref": "#"},
    "dynamic reference": {"$dynamicRef": "#x"},
    "regular expression": {"properties": {"a": {"pattern": "(a+)+$"}}},
    "names by expression": {"patternProperties": {"(a+)+$": {}}},
    "unevaluated": {"allOf": [{"unevaluatedProperties": False}]},
    "unique": {"items": {"uniqueItems": True}},
    "an id": {"$id": "http://127.0.0.1:9/"},
    "below a list": {"anyOf": [{}, {"not": {}}]},
    "unknown": {"typ": "object"},
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_could_reach_out_or_take_long_is_refused(case: str) -> None:
    """By its place, however deep it stands."""
    (fault,) = faults_of_schema(REFUSED[case])
    assert "this part of JSON Schema is not taken" in fault.message
    assert fault.place[-1] not in KEYWORDS


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "objct"}, "'objct' is not valid"),
        ({"minimum": "1"}, "'1' is not of type 'number'"),
        ({"properties": {"a": 3}}, "3 is not of type 'object', 'boolean'"),
        ({"required": "a"}, "'a' is not of type 'array'"),
        ({"minimum": float("nan")}, "JSON cannot say it"),
        ({"default": {1: 2}}, "keys that are no text"),
        ({"default": {1, 2}}, "JSON cannot say it"),
        ({"enum": list(range(1_001))}, "more than 1000 values"),
    ],
)
def test_what_is_no_schema_is_refused(schema: dict[str, Any], message: str) -> None:
    """With what is wrong."""
    assert message in faults_of_schema(schema)[0].message


@pytest.mark.parametrize(
    ("schema", "config", "places"),
    [
        ({"type": "object"}, {}, []),
        ({"required": ["a"]}, {}, [()]),
        ({"properties": {"a": {"type": "integer", "minimum": 1}}}, {"a": 0}, [("a",)]),
        ({"properties": {"a": {"items": {"enum": ["x"]}}}}, {"a": ["x", "y", "z"]}, [("a", 1), ("a", 2)]),
        ({"additionalProperties": {"type": "string"}}, {"a": "b", "c": 1}, [("c",)]),
        ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": 1, "b": 1}, [()]),
        ({"properties": {"a": {"type": "boolean"}}}, {"a": 1}, [("a",)]),
    ],
)
def test_it_says_where_a_configuration_does_not_fit(
    schema: dict[str, Any], config: dict[str, Any], places: list[Any]
) -> None:
    """At the value itself."""
    assert faults_of_schema(schema) == []
    assert [fault.place for fault in faults_of_config(schema, config)] == places


def test_no_pair_takes_long() -> None:
    """The largest pair that is held against each other; a larger one is refused unread."""
    schema = {"additionalProperties": {"anyOf": [{"items": {"enum": [[n] for n in range(45)]}} for _ in range(10)]}}
    assert faults_of_schema(schema) == []
    config = {str(n): [[n]] for n in range(30)}
    begun = time.process_time()
    faults_of_config(schema, config)
    assert time.process_time() - begun < 3
    (fault,) = faults_of_config(schema, {str(n): [[n]] for n in range(1_000)})
    assert "too large to be held against each other" in fault.message


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
schemas = st.dictionaries(st.sampled_from(sorted(KEYWORDS)), values, max_size=4)


@settings(deadline=None)
@given(schemas, st.dictionaries(st.text(max_size=5), values, max_size=3))
def test_no_schema_makes_it_raise(schema: dict[str, Any], config: dict[str, Any]) -> None:
    """Whatever stands under the keywords: faults, or a schema that can be used."""
    if not faults_of_schema(schema):
        faults_of_config(schema, config)
