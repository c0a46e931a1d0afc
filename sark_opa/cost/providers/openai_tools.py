"""What function definitions add to an OpenAI prompt.

OpenAI writes them into the prompt as a TypeScript namespace it does not publish. The expected figure follows the
cookbook's constants (https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken). The bound counts the
definitions as JSON, which names everything the namespace does with more punctuation, plus a frame for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sark_opa.cost import body
from sark_opa.cost.demand import Demand, declared_types, json_text
from sark_opa.cost.tokens import Counted

_FUNCTION: Final = 7
_FUNCTION_CL100K: Final = 10
_PROPERTIES: Final = 3
_PROPERTY: Final = 3
_ENUM: Final = -3
_ENUM_ITEM: Final = 3
_END: Final = 12
_FRAME_UPPER: Final = 16
_DEPTH_MAX: Final = 32


def count_functions(demand: Demand, functions: Sequence[tuple[Mapping[str, Any], str]]) -> None:
    """Count function definitions (`{name, description, parameters}`) with their paths.

    Raises:
        ArgumentsInvalidError: a definition is not of that shape.
    """
    if not functions:
        return
    expected, upper = _END, _END + _FRAME_UPPER
    per_function = _FUNCTION_CL100K if demand.facts.encoding == "cl100k_base" else _FUNCTION
    for function, path in functions:
        name = body.text(function.get("name"), f"{path}.name")
        description = (body.word(function, "description", path) or "").removesuffix(".")
        lines = [f"{name}:{description}"]
        extra = _properties(body.part(function, "parameters", path), f"{path}.parameters", lines)
        counted = per_function + extra + sum(demand.meter.measure(line).expected for line in lines)
        as_json = demand.meter.measure(json_text(function, path)).upper
        expected += counted
        upper += max(as_json, counted) + _FRAME_UPPER
    demand.fixed(expected, upper)


def _properties(schema: Mapping[str, Any], path: str, lines: list[str], depth: int = 0) -> int:
    """Add a line for every property of a JSON Schema, nested ones too; returns the tokens of their frames."""
    properties = body.part(schema, "properties", path)
    if not properties or depth > _DEPTH_MAX:
        return 0
    tokens = _PROPERTIES
    for name, definition in properties.items():
        where = f"{path}.properties.{name}"
        tokens += _PROPERTY
        if not isinstance(definition, Mapping):  # `true` allows anything
            lines.append(str(name))
            continue
        values = body.items(definition, "enum", where)
        if values:
            tokens += _ENUM + _ENUM_ITEM * len(values)
            lines.extend(str(value) for value in values)
        description = str(definition.get("description") or "").removesuffix(".")
        lines.append(f"{name}:{definition.get('type', '')}:{description}")
        tokens += _properties(definition, where, lines, depth + 1)
        inner = definition.get("items")
        if isinstance(inner, Mapping):
            tokens += _properties(inner, f"{where}.items", lines, depth + 1)
    return tokens


def count_schema(demand: Demand, value: Any, path: str) -> None:
    """Count an answer format that carries a JSON Schema: the schema is written into the prompt."""
    counted = demand.meter.measure(json_text(value, path))
    demand.fixed(counted.expected, counted.upper + 4 * _FRAME_UPPER)


def count_tool_choice(demand: Demand, choice: Any, path: str) -> None:
    """Count `tool_choice`: one token for `none`, four and the name for a named function."""
    if choice == "none":
        demand.fixed(1)
    elif isinstance(choice, Mapping):
        function = choice.get("function", choice)
        name = function.get("name") if isinstance(function, Mapping) else None
        named = demand.meter.measure(body.text(name, f"{path}.name")) if name is not None else Counted(0, 0)
        demand.fixed(4 + named.expected, 4 + named.upper + _FRAME_UPPER)


def functions_of(tools: Sequence[Any], path: str) -> list[tuple[Mapping[str, Any], str]]:
    """The definitions inside `tools` of Chat Completions: `{"type": "function", "function": {…}}`.

    Raises:
        ArgumentsInvalidError: a tool is not of a shape with a definition.
    """
    found: list[tuple[Mapping[str, Any], str]] = []
    for tool, where in declared_types(tools, path):
        key = "custom" if tool.get("type") == "custom" else "function"
        found.append((body.mapping(tool.get(key), f"{where}.{key}"), f"{where}.{key}"))
    return found
