"""Amazon Bedrock Converse, for every model family behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sark_opa.cost import body
from sark_opa.cost.compile import DEFAULT_TIER
from sark_opa.cost.demand import Demand, declared_types
from sark_opa.cost.images import size_of_base64

_MESSAGE: Final = (4, 24)
_PROMPT: Final = (4, 128)
_TOOL_PROMPT: Final = (346, 1_024)
_TOOL: Final = (20, 64)
_EXTRA_TOOL_UPPER: Final = 3_000
"""A tool of the vendor's own in the additional fields, such as computer use."""
_LIMITS: Final = ("max_tokens", "max_tokens_to_sample", "max_new_tokens", "max_gen_len", "maxTokens")
"""What the vendors behind Bedrock call the limit of an answer; Converse passes it on beside its own."""


def read_converse(arguments: Mapping[str, Any], demand: Demand) -> None:
    """A Converse request.

    Raises:
        ArgumentsInvalidError: the body is not one the API takes.
    """
    path = "arguments"
    demand.visible = arguments.get("messages") is not None
    demand.fixed(*_PROMPT)
    for message, where in declared_types(body.items(arguments, "messages", path), f"{path}.messages"):
        body.text(message.get("role"), f"{where}.role")
        demand.fixed(*_MESSAGE)
        _blocks(message.get("content"), f"{where}.content", demand)
    if arguments.get("system") is not None:
        _blocks(arguments["system"], f"{path}.system", demand)
    tools = body.items(body.part(arguments, "toolConfig", path), "tools", f"{path}.toolConfig")
    if tools:
        demand.fixed(*_TOOL_PROMPT)
    for tool, where in declared_types(tools, f"{path}.toolConfig.tools"):
        if "toolSpec" in tool:
            demand.written(tool["toolSpec"], f"{where}.toolSpec")
            demand.fixed(*_TOOL)
        elif "cachePoint" not in tool:  # a tool Bedrock runs itself
            demand.loops(None)
    inference = body.part(arguments, "inferenceConfig", path)
    # Bedrock speaks other dialects beside Converse; the larger of two limits counts.
    limits = [body.count(inference, "maxTokens", f"{path}.inferenceConfig")]
    limits += [body.count(arguments, name, path) for name in ("max_tokens", "max_completion_tokens")]
    demand.output_limit = max((limit for limit in limits if limit is not None), default=None)
    _extra(body.part(arguments, "additionalModelRequestFields", path), f"{path}.additionalModelRequestFields", demand)
    demand.tier = body.word(body.part(arguments, "serviceTier", path), "type", f"{path}.serviceTier") or DEFAULT_TIER
    if arguments.get("promptVariables") is not None:
        demand.opaque("stored_prompt", "image")
    if body.part(arguments, "performanceConfig", path).get("latency") == "optimized":
        demand.unbounded("latency_optimized_unpriced")  # dearer for some models, by prices no list carries


def _extra(fields: Mapping[str, Any], path: str, demand: Demand) -> None:
    """Fields Converse passes on to the model as they are; the larger of two limits counts."""
    if not fields:
        return
    limits = [demand.output_limit, *(body.count(fields, name, path) for name in _LIMITS)]
    demand.output_limit = max((limit for limit in limits if limit is not None), default=None)
    thinking = body.part(fields, "thinking", path)
    demand.output_floor = (body.count(thinking, "budget_tokens", f"{path}.thinking", least=0) or 0) + 1
    demand.unread(fields, path)
    demand.fixed(0, _EXTRA_TOOL_UPPER * len(body.items(fields, "tools", path)))


def _blocks(content: Any, path: str, demand: Demand) -> None:
    for block, where in declared_types(body.sequence(content, path), path):
        _block(block, where, demand)


def _block(block: Mapping[str, Any], path: str, demand: Demand) -> None:
    if "text" in block:
        demand.text(block["text"], f"{path}.text")
    elif "image" in block:
        _image(body.part(block, "image", path), f"{path}.image", demand)
    elif "toolUse" in block:
        demand.written(block["toolUse"], f"{path}.toolUse")
        demand.fixed(*_TOOL)
    elif "toolResult" in block:
        demand.fixed(*_TOOL)
        result = body.part(block, "toolResult", path)
        _blocks(body.items(result, "content", f"{path}.toolResult"), f"{path}.toolResult.content", demand)
    elif "json" in block:
        demand.written(block["json"], f"{path}.json")
    elif "guardContent" in block:
        guarded = body.part(body.part(block, "guardContent", path), "text", f"{path}.guardContent")
        demand.text(guarded.get("text") or "", f"{path}.guardContent.text.text")
    elif "reasoningContent" in block:
        demand.written(block["reasoningContent"], f"{path}.reasoningContent")
    elif "cachePoint" not in block:
        demand.opaque("document", "image", "video")


def _image(image: Mapping[str, Any], path: str, demand: Demand) -> None:
    data = body.part(image, "source", path).get("bytes")
    if demand.facts.image is None:  # what another vendor's models make of an image is not published
        demand.opaque("image", "image")
    else:
        demand.image(size_of_base64(data) if isinstance(data, str) else None)
