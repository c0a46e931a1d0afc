"""OpenAI Responses: `input`, `instructions`, tools that run on OpenAI's side, and state kept there.

With `previous_response_id`, `conversation` or a stored `prompt` most of the input is not in the request. A hosted tool
lets the model read its context once more for every call, and the usage adds those readings up (measured 2.04 times by
turnstonelabs/turnstone#1191), so the bound is a window for each; `max_tool_calls` limits them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sark_opa.cost import body
from sark_opa.cost.compile import AUTO_TIER
from sark_opa.cost.demand import Demand, declared_types
from sark_opa.cost.errors import ArgumentsInvalidError
from sark_opa.cost.images import size_of_data_url
from sark_opa.cost.providers.openai import PART_UPPER
from sark_opa.cost.providers.openai_tools import count_functions, count_schema, count_tool_choice

_ITEM: Final = 3
_PRIMING: Final = 3
_CALL: Final = 8
_FRAME_UPPER: Final = 16
_LIMIT_LEAST: Final = 16
_LOCAL_TOOL: Final = (500, 3_000)
"""Expected and most tokens of the definition of a tool the caller runs (computer, shell, patches); not published."""
_LOCAL_TOOLS: Final = ("computer", "local_shell", "shell", "apply_patch")
_MESSAGE_FIELDS: Final = frozenset({"type", "role", "content", "id", "status", "phase"})
_STATE: Final = ("previous_response_id", "conversation", "prompt")


def read_responses(arguments: Mapping[str, Any], demand: Demand) -> None:
    """A Responses request.

    Raises:
        ArgumentsInvalidError: the body is not one the API takes.
    """
    path = "arguments"
    value = arguments.get("input")
    demand.visible = value is not None or any(arguments.get(key) is not None for key in _STATE)
    if isinstance(value, str):
        demand.meter.add(value)
        demand.fixed(_ITEM + 1)
    elif value is not None:
        for item, where in declared_types(body.sequence(value, f"{path}.input"), f"{path}.input"):
            _item(item, where, demand)
    if any(arguments.get(key) is not None for key in _STATE):
        demand.opaque("earlier_response", "image", "audio")
    instructions = arguments.get("instructions")
    if instructions is not None:
        demand.text(instructions, f"{path}.instructions")
        demand.fixed(_ITEM + 1)
    demand.fixed(_PRIMING + demand.facts.template, _PRIMING if demand.facts.framed else 8 * _FRAME_UPPER)
    _tools(arguments, demand, path)
    answer_format = body.part(body.part(arguments, "text", path), "format", f"{path}.text")
    if "schema" in answer_format:
        count_schema(demand, answer_format, f"{path}.text.format")
    demand.output_limit = body.count(arguments, "max_output_tokens", path)
    demand.output_floor = _LIMIT_LEAST
    demand.tier = body.word(arguments, "service_tier", path) or AUTO_TIER
    if body.items(arguments, "context_management", path):
        demand.unbounded("compaction_unbounded")


def _tools(arguments: Mapping[str, Any], demand: Demand, path: str) -> None:
    calls = body.count(arguments, "max_tool_calls", path, least=0)
    functions: list[tuple[Mapping[str, Any], str]] = []
    hosted = False
    for tool, where in declared_types(body.items(arguments, "tools", path), f"{path}.tools"):
        kind = body.text(tool.get("type"), f"{where}.type")
        if kind in {"function", "custom"}:
            functions.append((tool, where))
        elif kind.startswith(_LOCAL_TOOLS) and "container" not in str(tool.get("environment", "")):
            demand.fixed(*_LOCAL_TOOL)
        else:
            hosted = True
            if kind.startswith("web_search"):
                demand.fee("web_searches", calls)
            elif kind == "file_search":
                demand.fee("storage_searches", calls)
            else:  # code containers, images and remote servers have prices of their own that no list carries
                demand.unbounded("hosted_tool_unpriced")
    if hosted:
        demand.loops(calls)
    count_functions(demand, functions)
    count_tool_choice(demand, arguments.get("tool_choice"), f"{path}.tool_choice")


def _item(item: Mapping[str, Any], path: str, demand: Demand) -> None:
    kind = body.word(item, "type", path) or "message"
    framed = demand.facts.framed
    if kind == "message":
        demand.fixed(_ITEM + 1, _ITEM + 1 if framed else _FRAME_UPPER)
        _content(item.get("content"), f"{path}.content", demand)
        demand.unread({key: value for key, value in item.items() if key not in _MESSAGE_FIELDS}, path)
    elif kind in {"function_call", "custom_tool_call"}:
        demand.fixed(_CALL, _FRAME_UPPER)
        for key in ("name", "arguments", "input", "namespace"):
            if item.get(key) is not None:
                demand.text(item[key], f"{path}.{key}")
        _identifiers(item, path, demand)
    elif kind in {"function_call_output", "custom_tool_call_output"}:
        demand.fixed(_CALL, _FRAME_UPPER)
        _content(item.get("output"), f"{path}.output", demand)
        _identifiers(item, path, demand)
    elif kind == "reasoning":
        _reasoning(item, path, demand)
    else:  # a reference, or what a hosted tool returned
        demand.opaque("item", "image")


def _identifiers(item: Mapping[str, Any], path: str, demand: Demand) -> None:
    for key in ("id", "call_id"):
        demand.fixed(0, demand.meter.measure(body.word(item, key, path) or "").upper)


def _reasoning(item: Mapping[str, Any], path: str, demand: Demand) -> None:
    """Earlier reasoning comes back encrypted: at least a byte a token, and base64 on top of it."""
    encrypted = body.word(item, "encrypted_content", path)
    if encrypted is None:
        demand.opaque("reasoning")
    else:
        demand.fixed(len(encrypted) // 5, len(encrypted))


def _content(content: Any, path: str, demand: Demand) -> None:
    if content is None:
        return
    if isinstance(content, str):
        demand.meter.add(content)
        return
    parts = declared_types(body.sequence(content, path), path)
    demand.fixed(0, PART_UPPER * max(len(parts) - 1, 0))
    for part, where in parts:
        kind = body.word(part, "type", where)
        if kind in {"input_text", "output_text", "text", "summary_text"}:
            demand.text(part.get("text"), f"{where}.text")
        elif kind == "refusal":
            demand.text(part.get("refusal"), f"{where}.refusal")
        elif kind == "input_image":
            url = body.word(part, "image_url", where)
            demand.image(size_of_data_url(url) if url else None, body.word(part, "detail", where) or "auto")
        elif kind is None:
            raise ArgumentsInvalidError(f"{where}.type", "is missing")
        else:
            demand.opaque("file", "image", "audio")
