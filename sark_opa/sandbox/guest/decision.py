"""From an encoded question to what a plugin sees, and from what it returns to an answer: the same wherever it runs."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from sark_opa.plugin import Host, PolicyContext, PolicyDecision
from sark_opa.sandbox import protocol
from sark_opa.sandbox.contract import Question

_decode_question: Final = msgspec.msgpack.Decoder(Question).decode
_decode_facts: Final = msgspec.msgpack.Decoder(dict[str, object]).decode


class InvalidDecisionError(Exception):
    """What `evaluate` returned is no decision; the message says what is wrong."""


def context_of(question: bytes | msgspec.Raw, facts: bytes | msgspec.Raw, host: Host) -> PolicyContext:
    """What a plugin is asked about, decoded for it alone."""
    asked = _decode_question(question)
    return PolicyContext(
        asked.principal_id,
        asked.resource_id,
        asked.capability_id,
        asked.action,
        asked.arguments,  # type: ignore[arg-type]  # decoded as a dict
        asked.environment,  # type: ignore[arg-type]  # same
        asked.timestamp,
        _decode_facts(facts),
        asked.org,
        host,
    )


def parts_of(decision: object) -> tuple[bool, str, dict[str, Any]]:
    """Whether it allows, its reason and its metadata.

    Raises:
        InvalidDecisionError: it is no decision, or a field is of another type.
    """
    if not isinstance(decision, PolicyDecision):
        raise InvalidDecisionError(f"evaluate returned a {type(decision).__name__}, not a PolicyDecision")
    allowed, reason, metadata = decision.allowed, decision.reason, decision.metadata
    for field, value, kind in (("allowed", allowed, bool), ("reason", reason, str), ("metadata", metadata, dict)):
        if type(value) is not kind:
            raise InvalidDecisionError(f"{field} is a {type(value).__name__}, not exactly a {kind.__name__}")
    return allowed, reason, metadata


def checked(answer: protocol.Answer) -> protocol.Answer:
    """The answer, once it is known to be one that can be sent.

    Raises:
        InvalidDecisionError: says what is wrong, and where.
    """
    try:
        protocol.check_answer(answer)
    except (ValueError, RecursionError, OverflowError) as error:
        raise InvalidDecisionError(str(error)) from error
    return answer


def about_itself(error: msgspec.ValidationError) -> str:
    """Which word of a plugin's own about itself is wrong, and how."""
    message = str(error)
    for index, field in enumerate(protocol.Loaded.__struct_fields__, start=1):
        message = message.replace(f"at `$[{index}]`", f"in the plugin's `{field}`")
    return message
