"""Reading request bodies: the right type at every field, or an error that names the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sark_opa.cost.errors import ArgumentsInvalidError

INT_MAX: Final = 10**9
"""No count in a request body is larger."""


def mapping(value: Any, path: str) -> Mapping[str, Any]:
    """`value` as an object.

    Raises:
        ArgumentsInvalidError: it is something else.
    """
    if not isinstance(value, Mapping):
        raise ArgumentsInvalidError(path, f"must be an object, not {kind(value)}")
    return value


def sequence(value: Any, path: str) -> Sequence[Any]:
    """`value` as a list.

    Raises:
        ArgumentsInvalidError: it is something else.
    """
    if not isinstance(value, list | tuple):
        raise ArgumentsInvalidError(path, f"must be a list, not {kind(value)}")
    return value


def text(value: Any, path: str) -> str:
    """`value` as a string.

    Raises:
        ArgumentsInvalidError: it is something else.
    """
    if not isinstance(value, str):
        raise ArgumentsInvalidError(path, f"must be a string, not {kind(value)}")
    return value


def count(body: Mapping[str, Any], name: str, path: str, *, least: int = 1) -> int | None:
    """A whole number of the body, None where it is absent or null.

    Raises:
        ArgumentsInvalidError: not a whole number from `least` to a thousand million.
    """
    value = body.get(name)
    if value is None:
        return None
    # `True` is an int to Python, and 400.0 is what some languages make of 400.
    if isinstance(value, bool) or not isinstance(value, int):
        raise ArgumentsInvalidError(f"{path}.{name}", f"must be a whole number, not {kind(value)}")
    if not least <= value <= INT_MAX:
        raise ArgumentsInvalidError(f"{path}.{name}", f"must be {least} to {INT_MAX}, not {value}")
    return value


def part(body: Mapping[str, Any], name: str, path: str) -> Mapping[str, Any]:
    """An object inside the body; empty where it is absent or null.

    Raises:
        ArgumentsInvalidError: it is something else.
    """
    value = body.get(name)
    return {} if value is None else mapping(value, f"{path}.{name}")


def items(body: Mapping[str, Any], name: str, path: str) -> Sequence[Any]:
    """A list inside the body; empty where it is absent or null.

    Raises:
        ArgumentsInvalidError: it is something else.
    """
    value = body.get(name)
    return () if value is None else sequence(value, f"{path}.{name}")


def word(body: Mapping[str, Any], name: str, path: str) -> str | None:
    """A string inside the body; None where it is absent or null.

    Raises:
        ArgumentsInvalidError: it is something else.
    """
    value = body.get(name)
    return None if value is None else text(value, f"{path}.{name}")


def kind(value: Any) -> str:
    """What JSON calls the value's type."""
    names = {type(None): "null", bool: "a boolean", int: "a number", str: "a string", dict: "an object", list: "a list"}
    return names.get(type(value), f"a {type(value).__name__}")
