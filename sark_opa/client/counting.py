"""Counting a large prompt here instead of sending it through OPA.

OPA needs about 25 ms a megabyte to parse its input, and a prompt is of no use to it: what the service wants of the
prompt is its tokens. So above a size the prompt is counted in the gateway and left out; `usage` says how long it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import msgspec

from sark_opa.cost import Call, Costing
from sark_opa.errors import SarkError

_TEXT: Final = frozenset({"messages", "input", "instructions", "prompt", "system", "contents", "systemInstruction"})
"""Where providers' request bodies carry the prompt. Tools stay: policies read them."""


@cache
def _costing() -> Costing:
    return Costing()


def slim(question: Mapping[str, Any], *, above_bytes: int) -> Mapping[str, Any]:
    """The question with its prompt replaced by its token count, where it is larger than `above_bytes`.

    The count is the upper one: what the provider can bill at most for that input. A question that already declares
    `usage`, that cannot be counted, or that is no question at all, is left as it is; the service says what is wrong.

    Args:
        question: the input of `docs/reference/decision.md`.
        above_bytes: size of the arguments as JSON.
    """
    arguments = question.get("arguments")
    if not isinstance(arguments, Mapping) or question.get("usage") is not None or not _TEXT & set(arguments):
        return question
    try:
        if len(msgspec.json.encode(arguments)) <= above_bytes:
            return question
        input_tokens = _count(question, arguments)
    except (SarkError, TypeError, ValueError, OverflowError, RecursionError):
        return question
    if input_tokens is None:
        return question
    left = {key: value for key, value in arguments.items() if key not in _TEXT}
    return {**question, "arguments": left, "usage": {"input_tokens": input_tokens}}


def _count(question: Mapping[str, Any], arguments: Mapping[str, Any]) -> int | None:
    resource, capability = question.get("resource"), question.get("capability")
    if not isinstance(resource, Mapping) or not isinstance(capability, Mapping):
        return None
    call = Call(str(resource.get("id")), resource.get("type"), str(capability.get("id")), arguments)
    return _costing().estimate_now(call, datetime.now(UTC)).tokens.input_max
