"""Anthropic Messages, first-party or through Bedrock and Vertex.

No vocabulary is public: texts are guessed and bounded by bytes. Tools add a system prompt of 159 to 530 tokens by
model (https://docs.anthropic.com/en/docs/tool-use-pricing-and-tokens). `max_tokens` covers thinking. Server tools run
inside one request, and the usage adds up every reading of the context; `max_uses` limits them, unless the model calls
them from code it writes, which it may run as often as it likes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sark_opa.cost import body
from sark_opa.cost.compile import DEFAULT_TIER
from sark_opa.cost.demand import Demand, declared_types, json_text
from sark_opa.cost.errors import ArgumentsInvalidError
from sark_opa.cost.images import size_of_base64

_READ: Final = frozenset({"role", "content", "cache_control"})
_MESSAGE: Final = (4, 16)
_BLOCK: Final = (0, 8)
_PROMPT: Final = (4, 32)
_TOOL_PROMPT: Final = (346, 1_024)
_TOOL: Final = (20, 64)
_CLIENT_TOOL: Final = (700, 3_000)
"""Definitions Anthropic supplies itself: text editor 700, bash 245, computer use 735; memory is not published."""
_CLIENT_TOOLS: Final = ("bash", "text_editor", "computer", "memory")
_CALLED_DIRECTLY: Final = ("web_search_20250305", "web_fetch_20250910")
"""Versions without dynamic filtering: later ones run code inside the request even when no such tool is declared."""
_CITED: Final = 256
_THINKING: Final = (32, 96)
"""Thinking adds a short system prompt of its own."""


def read_messages(arguments: Mapping[str, Any], demand: Demand) -> None:
    """A Messages request.

    Raises:
        ArgumentsInvalidError: the body is not one the API takes.
    """
    path = "arguments"
    demand.visible = arguments.get("messages") is not None
    demand.fixed(*_PROMPT)
    for message, where in declared_types(body.items(arguments, "messages", path), f"{path}.messages"):
        body.text(message.get("role"), f"{where}.role")
        demand.fixed(*_MESSAGE)
        _content(message.get("content"), f"{where}.content", demand)
        if len(message) > 2:  # noqa: PLR2004  # more than role and content: what a compatible endpoint may read too
            demand.unread({key: value for key, value in message.items() if key not in _READ}, where)
    if arguments.get("system") is not None:
        _content(arguments["system"], f"{path}.system", demand)
    _tools(arguments, demand, path)
    demand.output_limit = body.count(arguments, "max_tokens", path, least=0)  # 0 only fills the cache
    demand.limit_per_pass = True
    budget = body.count(body.part(arguments, "thinking", path), "budget_tokens", f"{path}.thinking", least=0)
    demand.output_floor = (budget or 0) + 1
    if arguments.get("thinking") is not None:
        demand.fixed(*_THINKING)
    demand.tier = "fast" if body.word(arguments, "speed", path) == "fast" else DEFAULT_TIER
    demand.geo = body.word(arguments, "inference_geo", path)
    _state(arguments, demand, path)


def _state(arguments: Mapping[str, Any], demand: Demand, path: str) -> None:
    edits = body.items(body.part(arguments, "context_management", path), "edits", f"{path}.context_management")
    compacts = any(
        body.text(edit.get("type"), f"{where}.type").startswith("compact")
        for edit, where in declared_types(edits, f"{path}.context_management.edits")
    )
    if compacts or arguments.get("compaction") is not None:
        demand.unbounded("compaction_unbounded")
    if body.items(arguments, "mcp_servers", path):
        demand.unbounded("hosted_tool_unpriced")
    if arguments.get("fallbacks"):
        demand.unbounded("fallback_model_unbounded")
    if arguments.get("thread") is not None or arguments.get("container") is not None:
        demand.opaque("earlier_response", "image")
    answer_format = body.part(arguments, "output_config", path).get("format", arguments.get("output_format"))
    if answer_format is not None:
        demand.written(answer_format, f"{path}.output_config.format")
        demand.fixed(*_TOOL)


def _tools(arguments: Mapping[str, Any], demand: Demand, path: str) -> None:
    tools = declared_types(body.items(arguments, "tools", path), f"{path}.tools")
    if not tools:
        return
    demand.fixed(*_TOOL_PROMPT)
    for tool, where in tools:
        kind = body.word(tool, "type", where) or "custom"
        if kind == "custom":
            body.text(tool.get("name"), f"{where}.name")
            demand.written({k: v for k, v in tool.items() if k not in {"cache_control", "type"}}, where)
            demand.fixed(*_TOOL)
        elif kind.startswith(_CLIENT_TOOLS):
            demand.fixed(*_CLIENT_TOOL)
        else:
            uses = body.count(tool, "max_uses", where)
            demand.loops(uses)
            if kind.startswith("web_search"):
                demand.fee("web_searches", uses)
            elif not kind.startswith("web_fetch"):
                demand.unbounded("hosted_tool_unpriced")
            if kind not in _CALLED_DIRECTLY and list(body.items(tool, "allowed_callers", where)) != ["direct"]:
                demand.unbounded("hosted_tool_calls_unbounded")


def _content(content: Any, path: str, demand: Demand) -> None:
    if isinstance(content, str):
        demand.meter.add(content)
        return
    for block, where in declared_types(body.sequence(content, path), path):
        demand.fixed(*_BLOCK)
        _block(block, where, demand)


def _block(block: Mapping[str, Any], path: str, demand: Demand) -> None:
    kind = body.word(block, "type", path)
    if kind == "text":
        demand.text(block.get("text"), f"{path}.text")
    elif kind == "image":
        source = body.part(block, "source", path)
        data = body.word(source, "data", f"{path}.source")
        demand.image(size_of_base64(data) if data else None)
    elif kind == "document":
        _document(block, path, demand)
    elif kind in {"tool_use", "tool_result"}:
        _tool_block(block, path, demand)
    elif kind in {"thinking", "redacted_thinking"}:
        demand.text(block.get("thinking") or "", f"{path}.thinking")
        _encrypted(block, "signature" if kind == "thinking" else "data", path, demand)
    elif kind == "search_result":
        demand.text(block.get("title") or "", f"{path}.title")
        demand.text(block.get("source") or "", f"{path}.source")
        _content(block.get("content") or (), f"{path}.content", demand)
        _cited(block, block.get("content"), path, demand)
    elif kind is None:
        raise ArgumentsInvalidError(f"{path}.type", "is missing")
    else:  # what a server tool did or returned earlier, encrypted
        demand.opaque("block", "image")


def _tool_block(block: Mapping[str, Any], path: str, demand: Demand) -> None:
    demand.fixed(*_TOOL)
    if block["type"] == "tool_use":
        demand.text(block.get("name"), f"{path}.name")
        demand.written(block.get("input"), f"{path}.input")
    elif block.get("content") is not None:
        _content(block["content"], f"{path}.content", demand)


def _encrypted(block: Mapping[str, Any], key: str, path: str, demand: Demand) -> None:
    """Thinking comes back summarised, its whole in an encrypted field: at least a byte a token."""
    size = len(body.word(block, key, path) or "")
    demand.fixed(size // 5, size)


def _document(block: Mapping[str, Any], path: str, demand: Demand) -> None:
    for key in ("title", "context"):
        demand.text(block.get(key) or "", f"{path}.{key}")
    source = body.part(block, "source", path)
    kind = source.get("type")
    if kind == "text":
        demand.text(source.get("data"), f"{path}.source.data")
        _cited(block, source.get("data"), path, demand)
    elif kind == "content":
        _content(source.get("content") or (), f"{path}.source.content", demand)
        _cited(block, source.get("content"), path, demand)
    else:  # pages, whose number and text are inside a file
        demand.opaque("document", "image")


def _cited(block: Mapping[str, Any], content: Any, path: str, demand: Demand) -> None:
    """Citations number the sentences of a document and explain themselves: at most a token a byte more."""
    if body.part(block, "citations", path).get("enabled"):
        demand.fixed(0, _CITED + demand.meter.measure(json_text(content, path)).upper)
