"""OpenAI Chat Completions, and the many services that speak its dialect; legacy Completions too.

Frames: 3 tokens a message, 1 more for a `name`, 3 for the answer's start (openai-cookbook). Models of others have chat
templates of their own, so their bound allows more. The limit covers reasoning, also at xAI, whose usage counts it apart
(evalstate/fast-agent#276: 1,187 answered and 860 thought under a limit of 2,048).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sark_opa.cost import body
from sark_opa.cost.compile import AUTO_TIER
from sark_opa.cost.demand import Demand, declared_types
from sark_opa.cost.errors import ArgumentsInvalidError
from sark_opa.cost.images import size_of_data_url
from sark_opa.cost.providers.openai_tools import count_functions, count_schema, count_tool_choice, functions_of
from sark_opa.cost.rates import ALL_MODALITIES

_MESSAGE: Final = 3
_NAME: Final = 1
_PRIMING: Final = 3
_TOOL_CALL: Final = 3
_TEMPLATE_MESSAGE_UPPER: Final = 16
_TEMPLATE_UPPER: Final = 128
_OPTIONS: Final = frozenset(
    {
        "function_call",
        "functions",
        "modalities",
        "models",
        "n",
        "plugins",
        "prediction",
        "response_format",
        "search_parameters",
        "system",
        "tool_choice",
        "tools",
        "web_search_options",
    }
)
"""Fields that change the cost and that most requests do not have."""
_MESSAGE_FIELDS: Final = frozenset(
    {"role", "content", "name", "tool_call_id", "refusal", "reasoning_content", "tool_calls", "function_call", "audio"}
)
_OWN_TOOLS: Final = ("function", "custom", None)
PART_UPPER: Final = 3
"""Whether a message's parts are joined before they are counted is not published; joined, they can be a token more."""
_ONE_TOKEN_ROLES: Final = frozenset({"system", "user", "assistant", "tool", "function", "developer"})
_COMPLETION_LIMIT: Final = 16
"""What legacy Completions generate when `max_tokens` is absent; other services have other habits."""
_LEGACY: Final = ("gpt-3.5", "gpt-35", "davinci", "babbage")
_CHOICES_MAX: Final = 10_000


def read_chat(arguments: Mapping[str, Any], demand: Demand) -> None:
    """Chat Completions.

    Raises:
        ArgumentsInvalidError: the body is not one the API takes.
    """
    path = "arguments"
    demand.visible = arguments.get("messages") is not None
    messages = declared_types(body.items(arguments, "messages", path), f"{path}.messages")
    framed = demand.facts.framed
    for message, where in messages:
        _message(message, where, demand)
    frames = _MESSAGE * len(messages) + _PRIMING
    if not framed:
        demand.fixed(demand.facts.template, _TEMPLATE_MESSAGE_UPPER * len(messages) + _TEMPLATE_UPPER)
        demand.modalities_out = ALL_MODALITIES  # picture models of others answer with pictures unasked
    demand.fixed(frames)
    limits = [body.count(arguments, name, path) for name in ("max_completion_tokens", "max_tokens")]
    demand.output_limit = max((limit for limit in limits if limit is not None), default=None)
    demand.tier = body.word(arguments, "service_tier", path) or AUTO_TIER
    if not _OPTIONS.isdisjoint(arguments):
        _options(arguments, demand, path)


def _options(arguments: Mapping[str, Any], demand: Demand, path: str) -> None:
    count_functions(demand, functions_of(_own_tools(arguments, demand, path), f"{path}.tools"))
    count_functions(demand, declared_types(body.items(arguments, "functions", path), f"{path}.functions"))
    count_tool_choice(demand, arguments.get("tool_choice"), f"{path}.tool_choice")
    count_tool_choice(demand, arguments.get("function_call"), f"{path}.function_call")
    if "json_schema" in body.part(arguments, "response_format", path):
        count_schema(demand, arguments["response_format"], f"{path}.response_format")
    demand.choices = choices_of(arguments, "n", path)
    demand.modalities_out |= {str(modality) for modality in body.items(arguments, "modalities", path)}
    if arguments.get("system") is not None:  # some services take it from the Messages API here too
        demand.unread({"system": arguments["system"]}, path)
    if arguments.get("search_parameters") is not None or arguments.get("plugins") is not None:
        demand.unbounded("hosted_tool_unpriced")
    if arguments.get("models") is not None:
        demand.unbounded("fallback_model_unbounded")
    prediction = body.part(arguments, "prediction", path)
    # Predicted tokens that do not appear in the answer are billed as output, whatever its limit.
    for text, _ in texts_of(prediction.get("content"), f"{path}.prediction.content"):
        demand.output_extra += demand.meter.measure(text).upper
    if arguments.get("web_search_options") is not None:
        # The GPT-4o search models search exactly once; later ones search as often as they like.
        searches = 1 if str(arguments.get("model", "")).startswith("gpt-4o") else None
        demand.loops(searches)
        demand.fee("web_searches", searches)


def _own_tools(arguments: Mapping[str, Any], demand: Demand, path: str) -> list[Any]:
    """The tools the caller runs; a search or a browser of the service's own has no limit and no listed price."""
    tools = body.items(arguments, "tools", path)
    own = [tool for tool in tools if not isinstance(tool, Mapping) or tool.get("type") in _OWN_TOOLS]
    if len(own) < len(tools):
        demand.unbounded("hosted_tool_unpriced")
    return own


def choices_of(arguments: Mapping[str, Any], name: str, path: str) -> int:
    """How many answers are asked for; 1 where it is not said.

    Raises:
        ArgumentsInvalidError: not a whole number from 1 to ten thousand.
    """
    choices = body.count(arguments, name, path) or 1
    if choices > _CHOICES_MAX:
        raise ArgumentsInvalidError(f"{path}.{name}", f"must be 1 to {_CHOICES_MAX}, not {choices}")
    return choices


def _message(message: Mapping[str, Any], path: str, demand: Demand) -> None:
    role = message.get("role")
    if isinstance(role, str) and role in _ONE_TOKEN_ROLES:
        demand.fixed(1)
    else:
        demand.text(role, f"{path}.role")
    content = message.get("content")
    if isinstance(content, str):
        demand.meter.add(content)
    elif content is not None:
        for part, where in declared_types(body.sequence(content, f"{path}.content"), f"{path}.content"):
            _part(part, where, demand)
        demand.fixed(0, PART_UPPER * (len(content) - 1) if content else 0)
    if len(message) > 2:  # noqa: PLR2004  # more than role and content
        _extras(message, path, demand)


def _extras(message: Mapping[str, Any], path: str, demand: Demand) -> None:
    name = body.word(message, "name", path)
    if name is not None:
        demand.fixed(_NAME)
        demand.meter.add(name)
    for key in ("tool_call_id", "refusal", "reasoning_content"):
        value = body.word(message, key, path)
        if value is not None:
            counted = demand.meter.measure(value)
            demand.fixed(0 if key == "tool_call_id" else counted.expected, counted.upper)
    for call, where in declared_types(body.items(message, "tool_calls", path), f"{path}.tool_calls"):
        _call(body.part(call, "custom" if "custom" in call else "function", where), where, demand)
        demand.fixed(0, demand.meter.measure(body.word(call, "id", where) or "").upper)
    call = body.part(message, "function_call", path)
    if call:
        _call(call, f"{path}.function_call", demand)
    if message.get("audio") is not None:  # an earlier spoken answer, by id
        demand.opaque("audio", "audio")
    demand.unread({key: value for key, value in message.items() if key not in _MESSAGE_FIELDS}, path)


def _call(call: Mapping[str, Any], path: str, demand: Demand) -> None:
    demand.fixed(_TOOL_CALL, _TEMPLATE_MESSAGE_UPPER)
    for key in ("name", "arguments", "input"):
        if call.get(key) is not None:
            demand.text(call[key], f"{path}.{key}")


def _part(part: Mapping[str, Any], path: str, demand: Demand) -> None:
    kind = part.get("type")
    if kind == "text":
        demand.text(part.get("text"), f"{path}.text")
    elif kind == "refusal":
        demand.text(part.get("refusal"), f"{path}.refusal")
    elif kind == "image_url":
        source = part.get("image_url")
        image: Mapping[str, Any] = {"url": source} if isinstance(source, str) else body.part(part, "image_url", path)
        url = body.text(image.get("url"), f"{path}.image_url.url")
        demand.image(size_of_data_url(url), body.word(image, "detail", f"{path}.image_url") or "auto")
    elif kind == "input_audio":
        demand.opaque("audio", "audio")
    elif kind is None:
        raise ArgumentsInvalidError(f"{path}.type", "is missing")
    else:
        body.text(kind, f"{path}.type")
        demand.opaque("file" if kind == "file" else "unknown_part", "image", "audio", "video")


def texts_of(content: Any, path: str) -> Sequence[tuple[str, str]]:
    """The texts of a string or of a list of text parts, with their paths.

    Raises:
        ArgumentsInvalidError: neither.
    """
    if content is None:
        return ()
    if isinstance(content, str):
        return ((content, path),)
    return [
        (body.text(part.get("text"), f"{where}.text"), f"{where}.text")
        for part, where in declared_types(body.sequence(content, path), path)
    ]


def read_completion(arguments: Mapping[str, Any], demand: Demand) -> None:
    """Legacy Completions: `prompt` is a string, strings, a token list or token lists.

    Raises:
        ArgumentsInvalidError: the body is not one the API takes.
    """
    path = "arguments"
    demand.visible = arguments.get("prompt") is not None
    prompts = count_inputs(arguments.get("prompt"), f"{path}.prompt", demand) if demand.visible else 1
    demand.text(body.word(arguments, "suffix", path) or "", f"{path}.suffix")
    demand.output_limit = body.count(arguments, "max_tokens", path, least=0)
    if demand.output_limit is None and str(arguments.get("model")).startswith(_LEGACY):
        demand.output_limit = _COMPLETION_LIMIT
    answers = max(choices_of(arguments, "n", path), choices_of(arguments, "best_of", path))
    demand.choices = answers * max(prompts, 1)


def count_inputs(value: Any, path: str, demand: Demand) -> int:
    """Count one text, several, a list of token ids or several such lists; returns how many inputs there are.

    Raises:
        ArgumentsInvalidError: none of these.
    """
    if isinstance(value, str):
        demand.meter.add(value)
        return 1
    inputs = body.sequence(value, path)
    if inputs and isinstance(inputs[0], int):
        _token_ids(inputs, path)
        demand.fixed(len(inputs))
        return 1
    for index, item in enumerate(inputs):
        if isinstance(item, str):
            demand.meter.add(item)
        else:
            ids = body.sequence(item, f"{path}[{index}]")
            _token_ids(ids, f"{path}[{index}]")
            demand.fixed(len(ids))
    return len(inputs)


def _token_ids(ids: Sequence[Any], path: str) -> None:
    for index, value in enumerate(ids):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ArgumentsInvalidError(f"{path}[{index}]", f"must be a token id, not {body.kind(value)}")
