"""Google Gemini `generateContent`, REST names or those of the Python SDK.

`maxOutputTokens` covers thoughts and answer together (measured in googleapis/python-genai#2062, against the
documentation); a thinking budget the request states is added to the bound all the same. The usage counts thoughts
apart from candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sark_opa.cost import body
from sark_opa.cost.compile import AUTO_TIER
from sark_opa.cost.demand import Demand, declared_types
from sark_opa.cost.images import size_of_base64
from sark_opa.cost.providers.openai import choices_of
from sark_opa.cost.rates import ALL_MODALITIES

_TURN: Final = (2, 16)
_TOOL: Final = (16, 64)
_SCHEMA: Final = (8, 64)


def _either(value: Mapping[str, Any], camel: str) -> Any:
    """A field by its REST name or its Python name."""
    if camel in value:
        return value[camel]
    return value.get("".join(f"_{c.lower()}" if c.isupper() else c for c in camel))


def read_generate_content(arguments: Mapping[str, Any], demand: Demand) -> None:
    """A generateContent request.

    Raises:
        ArgumentsInvalidError: the body is not one the API takes.
    """
    path = "arguments"
    contents = arguments.get("contents")
    demand.visible = contents is not None
    if contents is not None:
        _contents(contents, f"{path}.contents", demand)
    config = dict(body.part(arguments, "config", path))
    for name in ("generationConfig", "generation_config"):
        config |= body.part(arguments, name, path)
    merged = {**config, **arguments}
    system = _either(merged, "systemInstruction")
    if system is not None:
        _contents(system, f"{path}.systemInstruction", demand)
    if _either(merged, "cachedContent") is not None:
        demand.opaque("cached_content", "image", "audio", "video")
    _tools(_either(merged, "tools"), f"{path}.tools", demand)
    _output(config, demand, path)
    demand.tier = str(_either(merged, "serviceTier") or AUTO_TIER).lower()


def _output(config: Mapping[str, Any], demand: Demand, path: str) -> None:
    settings = {name: _either(config, name) for name in ("maxOutputTokens", "candidateCount")}
    demand.output_limit = body.count(settings, "maxOutputTokens", f"{path}.generationConfig")
    demand.limit_per_pass = True
    demand.choices = choices_of(settings, "candidateCount", f"{path}.generationConfig")
    thinking = _either(config, "thinkingConfig")
    if thinking is not None:
        where = f"{path}.generationConfig.thinkingConfig"
        budget = {"thinkingBudget": _either(body.mapping(thinking, where), "thinkingBudget")}
        # -1 lets the model decide, within maxOutputTokens.
        demand.output_extra = max(body.count(budget, "thinkingBudget", where, least=-1) or 0, 0)
    modalities = _either(config, "responseModalities")
    if modalities is None:  # picture and film models answer with them unasked
        demand.modalities_out = ALL_MODALITIES
    else:
        stated = body.sequence(modalities, f"{path}.generationConfig.responseModalities")
        demand.modalities_out |= {str(modality).lower() for modality in stated}
    for name in ("responseSchema", "responseJsonSchema"):
        if _either(config, name) is not None:
            demand.written(_either(config, name), f"{path}.generationConfig.{name}")
            demand.fixed(*_SCHEMA)


def _tools(tools: Any, path: str, demand: Demand) -> None:
    for tool, where in declared_types(() if tools is None else body.sequence(tools, path), path):
        declarations = _either(tool, "functionDeclarations")
        if declarations is not None:
            for declaration, inner in declared_types(
                body.sequence(declarations, f"{where}.functionDeclarations"), f"{where}.functionDeclarations"
            ):
                demand.written(declaration, inner)
                demand.fixed(*_TOOL)
        elif tool:  # search, code, maps, URLs: as often as the model likes
            demand.loops(None)
            demand.unbounded("hosted_tool_unbounded")


def _contents(contents: Any, path: str, demand: Demand) -> None:
    if isinstance(contents, str):
        demand.meter.add(contents)
        demand.fixed(*_TURN)
    elif isinstance(contents, Mapping):
        demand.fixed(*_TURN)
        parts = contents.get("parts")
        if parts is None:
            _part(contents, path, demand)
        elif isinstance(parts, Mapping):
            _part(parts, f"{path}.parts", demand)
        else:
            for part, where in declared_types(body.sequence(parts, f"{path}.parts"), f"{path}.parts"):
                _part(part, where, demand)
    else:
        for index, content in enumerate(body.sequence(contents, path)):
            if not isinstance(content, str):
                body.mapping(content, f"{path}[{index}]")
            _contents(content, f"{path}[{index}]", demand)


def _part(part: Mapping[str, Any], path: str, demand: Demand) -> None:
    # Earlier thoughts come back encrypted and are read again: at least a byte a token, and base64 on top of it.
    signature = len(body.word({"thoughtSignature": _either(part, "thoughtSignature")}, "thoughtSignature", path) or "")
    demand.fixed(signature // 5, signature)
    text = part.get("text")
    if text is not None:
        demand.text(text, f"{path}.text")
        return
    blob = _either(part, "inlineData")
    if blob is not None:
        inline = body.mapping(blob, f"{path}.inlineData")
        media = str(_either(inline, "mimeType") or "")
        if media.startswith("image/") and isinstance(inline.get("data"), str):
            demand.image(size_of_base64(inline["data"]))
        else:
            demand.opaque("media", "image", "audio", "video")
        return
    for name in ("functionCall", "functionResponse", "executableCode", "codeExecutionResult"):
        value = _either(part, name)
        if value is not None:
            demand.written(value, f"{path}.{name}")
            demand.fixed(*_TOOL)
            if isinstance(value, Mapping) and value.get("parts") is not None:  # what a tool found, in pictures or files
                demand.opaque("media", "image", "audio", "video")
            return
    demand.opaque("file", "image", "audio", "video")
